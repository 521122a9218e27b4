/** The coordinator's command line: `coordinator [serve]`, and what is done while it does not run. */
import { readFileSync } from 'node:fs'
import {
  CloudlessError,
  describeSettings,
  formatDurationMs,
  loadConfiguration,
  systemClock,
  systemRandom,
  version,
  type Setting,
  type Values,
} from '@cloudless/base'
import { coordinatorSettings } from './settings.ts'

const usage = `The control plane of Cloudless.

Usage:
  coordinator [flags]                  serve until SIGTERM or SIGINT
  coordinator credentials [flags]      make an operator's key and certificate from the CA in --data-dir
  coordinator restore [flags]          make a data directory out of the backup --from FILE; --check only reads it
  coordinator recover [flags]          make this one of several the only one, when the majority is lost for good
  coordinator version
  coordinator precompile               compile once for all later starts, which are then faster and smaller

Every flag is also a variable (CLOUDLESS_DATA_DIR for --data-dir) and a key of the YAML file named by --config;
a flag is stronger than a variable, a variable stronger than the file.
`

const credentialSettings = [
  {
    key: 'data_dir',
    type: 'string',
    default: '/var/lib/cloudless',
    help: "The coordinator's data directory, where the CA is.",
  },
  {
    key: 'tls.trust_domain',
    type: 'string',
    default: 'cloudless',
    help: 'The SPIFFE trust domain of the cluster.',
  },
  { key: 'name', type: 'string', default: 'admin', help: 'Who the certificate is for.' },
  { key: 'out', type: 'string', default: '', help: 'Directory for key.pem, cert.pem and ca.pem.' },
  {
    key: 'ttl',
    type: 'duration',
    default: 90 * 86_400_000,
    min: 1_000,
    help: 'Life of the certificate.',
  },
] as const satisfies readonly Setting[]

/** Beside the coordinator's own, so that what is restored is started with the same. */
const restoreSettings = [
  ...coordinatorSettings,
  { key: 'from', type: 'string', default: '', help: 'The backup.' },
  {
    key: 'check',
    type: 'bool',
    default: false,
    help: 'Only say whether the backup is whole, and what it holds.',
  },
  {
    key: 'passphrase_file',
    type: 'string',
    default: '',
    help: 'File whose first line is the passphrase of the backup.',
  },
  {
    key: 'encryption_key_file',
    type: 'string',
    default: '',
    help: 'File with the 32 bytes of its key instead.',
  },
] as const satisfies readonly Setting[]

const recoverSettings = [
  ...coordinatorSettings,
  { key: 'yes', type: 'bool', default: false, help: 'The other coordinators are lost: do it.' },
] as const satisfies readonly Setting[]

/** Resolves with the exit code: 0 done, 1 failed, 2 wrong usage. */
export async function main(args: readonly string[]): Promise<number> {
  const [verb, ...rest] = args
  try {
    switch (verb) {
      case 'version':
      case '--version':
        console.log(`coordinator ${version} (node ${process.versions.node})`)
        return 0
      case 'precompile':
        await import('./run.ts') // What is loaded is kept compiled when this process ends.
        return 0
      case 'credentials':
        return await credentials(rest)
      case 'restore':
        return await restore(rest)
      case 'recover':
        return await recover(rest)
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
  if (loaded.out === '') {
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

async function restore(args: readonly string[]): Promise<number> {
  const loaded = await load(restoreSettings, args)
  if (typeof loaded === 'number') return loaded
  const { restoreCommand } = await import('./restore-command.ts')
  const {
    from,
    check,
    passphrase_file: passphraseFile,
    encryption_key_file: keyFile,
    ...settings
  } = loaded
  const asked = { from, check, passphraseFile, keyFile }
  const deps = { clock: systemClock, random: systemRandom }
  console.log(await restoreCommand(deps, asked, settings))
  return 0
}

async function recover(args: readonly string[]): Promise<number> {
  const loaded = await load(recoverSettings, args)
  if (typeof loaded === 'number') return loaded
  const { recoverCommand } = await import('./recover-command.ts')
  const { yes, ...settings } = loaded
  const deps = { clock: systemClock, random: systemRandom }
  console.log(await recoverCommand(deps, yes, settings))
  return 0
}

/** The values, or the exit code after help or problems were printed. */
async function load<const S extends readonly Setting[]>(
  settings: S,
  args: readonly string[],
): Promise<Values<S> | number> {
  const { yamlConfigurationFiles } = await import('@cloudless/api/configuration-file')
  const files = yamlConfigurationFiles((path) => readFileSync(path, 'utf8'))
  const result = loadConfiguration(settings, { args, env: process.env, ...files })
  if (result.kind === 'ok') return result.values
  if (result.kind === 'help') {
    console.log(`${usage}\nFlags:\n${describeSettings(settings)}`)
    return 0
  }
  for (const problem of result.problems) console.error(`coordinator: ${problem}`)
  console.error('coordinator: see `coordinator --help`')
  return 2
}
