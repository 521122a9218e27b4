/** The agent's command line: `agent [run]`, `agent inspect`, `agent version`. */
import { readFileSync } from 'node:fs'
import {
  CloudlessError,
  describeSettings,
  loadConfiguration,
  printableConfiguration,
  version,
} from '@cloudless/base'
import { lockDataDirectory } from './data-directory-lock.ts'
import { exitCodes } from './exit-codes.ts'
import { prepareFirstStart } from './join-token.ts'
import { agentSettings, type AgentSettings } from './settings.ts'

const usage = `The agent of Cloudless: runs containers on this machine for a cluster.

Usage:
  agent [flags]            join the cluster (once) and serve it until SIGTERM or SIGINT
  agent inspect [flags]    print the configuration, the identity and what this machine would offer
  agent version
  agent precompile         compile once for all later starts, which are then faster and smaller

Every flag is also a variable (CLOUDLESS_DATA_DIR for --data-dir) and a key of the YAML file named by --config;
a flag is stronger than a variable, a variable stronger than the file.

Exit codes: 0 stopped as asked, 1 failed, 2 wrong usage or configuration, 3 refused by the cluster,
4 removed from the cluster, 5 another agent runs with this identity.

Flags:
`

/** Resolves with the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const [first = 'run'] = args
  const verb = first.startsWith('-') ? 'run' : first
  if (first === '--version' || verb === 'version') {
    console.log(`agent ${version} (node ${process.versions.node})`)
    return exitCodes.ok
  }
  if (verb === 'precompile') {
    await import('./run.ts') // What is loaded is kept compiled when this process ends.
    return exitCodes.ok
  }
  if (verb !== 'run' && verb !== 'inspect') {
    console.error(`agent: there is no verb "${verb}"; see \`agent --help\``)
    return exitCodes.usage
  }
  try {
    const settings = await load(first === verb ? args.slice(1) : args)
    if (typeof settings === 'number') return settings
    if (verb === 'run') return await start(settings)
    console.log(JSON.stringify(printableConfiguration(agentSettings, settings), null, 2))
    return await (await import('./inspect.ts')).inspect(settings)
  } catch (reason) {
    const error = CloudlessError.from(reason)
    console.error(`agent: ${error.message}`)
    return error.code === 'invalid_argument' ? exitCodes.usage : exitCodes.failed
  }
}

/** What a first start waits for longest begins before the rest is loaded. */
async function start(settings: AgentSettings): Promise<number> {
  const lock = await lockDataDirectory(settings.data_dir)
  try {
    const material = prepareFirstStart(settings)
    const { run } = await import('./run.ts')
    return await run(settings, material)
  } finally {
    lock.close()
  }
}

/** The settings, or the exit code after help or problems were printed. */
async function load(args: readonly string[]): Promise<AgentSettings | number> {
  const named =
    args.some((arg) => arg.startsWith('--config')) || process.env['CLOUDLESS_CONFIG_FILE']
  const result = loadConfiguration(agentSettings, {
    args,
    env: process.env,
    ...(named ? await fileReader() : { readFile: () => ({}) }),
  })
  if (result.kind === 'ok') return result.values
  if (result.kind === 'help') {
    console.log(usage + describeSettings(agentSettings))
    return exitCodes.ok
  }
  for (const problem of result.problems) console.error(`agent: ${problem}`)
  console.error('agent: see `agent --help`')
  return exitCodes.usage
}

/** The YAML library is only loaded where there is a file. */
async function fileReader() {
  const { yamlConfigurationFiles } = await import('@cloudless/api/configuration-file')
  return yamlConfigurationFiles((path) => readFileSync(path, 'utf8'))
}
