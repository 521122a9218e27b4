/** The coordinator's command line: `coordinator [serve]`, `coordinator credentials`, `coordinator version`. */
import { readFileSync } from 'node:fs'
import {
  CloudlessError,
  describeFlags,
  errorOfConfiguration,
  formatDurationMs,
  loadConfiguration,
  systemClock,
  systemRandom,
  version,
  type SettingTable,
  type SettingValues,
} from '@cloudless/base'
import { coordinatorSettings } from './settings.ts'

const usage = `The control plane of Cloudless.

Usage:
  coordinator [flags]                  serve until SIGTERM or SIGINT
  coordinator credentials [flags]      make an operator's key and certificate from the CA in --data-dir
  coordinator version

Every flag is also a variable (CLOUDLESS_DATA_DIR for --data-dir) and a key of the YAML file named by --config;
a flag is stronger than a variable, a variable stronger than the file.
`

const credentialSettings = {
  data_dir: {
    type: 'string',
    default: '/var/lib/cloudless',
    help: "The coordinator's data directory, where the CA is.",
  },
  'tls.trust_domain': {
    type: 'string',
    default: 'cloudless',
    help: 'The SPIFFE trust domain of the cluster.',
  },
  name: { type: 'string', default: 'admin', help: 'Who the certificate is for.' },
  out: { type: 'string', help: 'Directory for key.pem, cert.pem and ca.pem.' },
  ttl: { type: 'duration', default: '90d', min: 1_000, help: 'Life of the certificate.' },
} as const satisfies SettingTable

/** Resolves with the exit code: 0 done, 1 failed, 2 wrong usage. */
export async function main(args: readonly string[]): Promise<number> {
  const [verb, ...rest] = args
  try {
    switch (verb) {
      case 'version':
      case '--version':
        console.log(`coordinator ${version} (node ${process.versions.node})`)
        return 0
      case 'credentials':
        return await credentials(rest)
      case 'serve':
        return await serve(rest)
      default:
        if (verb === undefined || verb.startsWith('-')) return await serve(args)
        console.error(`coordinator: there is no verb "${verb}"\n\n${usage}`)
        return 2
    }
  } catch (reason) {
    console.error(`coordinator: ${CloudlessError.from(reason).message}`)
    return 1
  }
}

async function serve(args: readonly string[]): Promise<number> {
  const loaded = await load(coordinatorSettings, args)
  if (typeof loaded === 'number') return loaded
  const { runCoordinator } = await import('./run.ts')
  await runCoordinator({ clock: systemClock, random: systemRandom }, loaded)
  return 0
}

async function credentials(args: readonly string[]): Promise<number> {
  const loaded = await load(credentialSettings, args)
  if (typeof loaded === 'number') return loaded
  if (loaded.out === undefined) {
    console.error('coordinator credentials: --out DIRECTORY is needed')
    return 2
  }
  const { issueOperatorCredentials } = await import('./operator-credentials.ts')
  const notAfterMs = await issueOperatorCredentials({
    dataDirectory: loaded.data_dir,
    trustDomain: loaded['tls.trust_domain'],
    name: loaded.name,
    outDirectory: loaded.out,
    lifetimeMs: loaded.ttl,
  })
  const lifeLeft = formatDurationMs(notAfterMs - systemClock.wallMs())
  console.log(`operator "${loaded.name}": credentials for ${lifeLeft} are in ${loaded.out}`)
  return 0
}

/** The values, or the exit code after help or problems were printed. */
async function load<const Table extends SettingTable>(
  table: Table,
  args: readonly string[],
): Promise<SettingValues<Table> | number> {
  if (args.includes('--help') || args.includes('-h')) {
    console.log(`${usage}\nFlags:\n${describeFlags(table)}`)
    return 0
  }
  const result = await loadConfiguration(table, {
    argv: args,
    env: process.env,
    readFile: (path) => readFileSync(path, 'utf8'),
    parseFile: async () => (await import('@cloudless/api')).parseConfigurationFile,
  })
  if (result.kind === 'invalid') {
    console.error(`coordinator: ${errorOfConfiguration(result.problems).message}`)
    console.error('coordinator: see `coordinator --help`')
    return 2
  }
  const { values, positionals } = result.configuration
  if (positionals.length === 0) return values
  console.error(`coordinator: "${positionals[0]}" is not expected; see \`coordinator --help\``)
  return 2
}
