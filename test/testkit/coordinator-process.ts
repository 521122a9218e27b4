/** A real coordinator in the background: started, found again, killed, stopped. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CloudlessError } from '@cloudless/base'
import { stringify } from 'yaml'
import { mustRun } from './command.ts'
import { httpAnswers } from './http-answers.ts'
import {
  argumentsOf,
  identifyProcess,
  isAlive,
  killAndWait,
  listPids,
  signalProcess,
  type ProcessIdentity,
} from './processes.ts'
import { cleanEnvironment, coordinatorProgram, startInBackground } from './programs.ts'
import { waitFor } from './wait-for.ts'

export interface CoordinatorOptions {
  /** Its state, and beside it `coordinator.log` and `coordinator.yaml`. */
  readonly dataDirectory: string
  /** "host:port"; the first is the one the CLI uses. */
  readonly bindAddresses: readonly string[]
  /** "host:port" of plain /healthz and /readyz. */
  readonly healthAddress: string
  /** Nested settings, written to its configuration file. */
  readonly config?: Readonly<Record<string, unknown>>
  readonly env?: NodeJS.ProcessEnv
}

export interface CoordinatorProcess {
  readonly log: string
  /** Starts it unless it runs; resolves when it is ready. Rejects with what it said when it ends instead. */
  start(): Promise<void>
  process(): ProcessIdentity | undefined
  isReady(): Promise<boolean>
  /** SIGKILL. */
  kill(): Promise<void>
  /** SIGTERM, and SIGKILL when it has not ended after 35 s. */
  stop(): Promise<void>
  /** Writes key, certificate and CA of an operator into the directory; works whether it runs or not. */
  issueCredentials(name: string, directory: string): Promise<void>
}

export function createCoordinator(options: CoordinatorOptions): CoordinatorProcess {
  const { dataDirectory } = options
  const log = `${dataDirectory}.log`
  const configFile = `${dataDirectory}.yaml`
  const environment = cleanEnvironment(options.env)

  function find(): ProcessIdentity | undefined {
    const pid = listPids().find((candidate) => {
      const words = argumentsOf(candidate)
      const at = words.indexOf('--data-dir')
      const isServer = !words.includes('credentials') && !words.includes('token')
      return at > 0 && words[at + 1] === dataDirectory && isServer
    })
    return pid === undefined ? undefined : identifyProcess(pid)
  }

  async function start(): Promise<void> {
    const sizeBefore = existsSync(log) ? statSync(log).size : 0
    const started = find() === undefined ? launch() : undefined
    await waitFor(async () => started?.hasEnded() === true || (await isReady()), {
      what: 'the coordinator to be ready',
      deadlineMs: 20_000,
      pollMs: 20,
      describe: () => readFileSync(log, 'utf8').slice(-2000),
    })
    if (started?.hasEnded() !== true) return
    const said = readFileSync(log).subarray(sizeBefore).toString('utf8')
    throw new CloudlessError(
      'failed_precondition',
      `the coordinator ended at once: ${lastLine(said)}`,
    )
  }

  function launch(): { hasEnded(): boolean } {
    mkdirSync(dataDirectory, { recursive: true, mode: 0o700 })
    const command = [coordinatorProgram, '--data-dir', dataDirectory]
    command.push('--bind-addr', options.bindAddresses.join(','))
    command.push('--health-addr', options.healthAddress)
    if (options.config !== undefined) {
      writeFileSync(configFile, stringify(options.config))
      command.push('--config', configFile)
    }
    return startInBackground(command, log, environment)
  }

  const isReady = (): Promise<boolean> => httpAnswers(`http://${options.healthAddress}/readyz`)

  async function stop(): Promise<void> {
    const identity = find()
    if (identity === undefined) return
    signalProcess(identity, 'SIGTERM')
    try {
      await waitFor(() => !isAlive(identity), {
        what: 'the coordinator to end',
        deadlineMs: 35_000,
      })
    } catch {
      await killAndWait([identity], 'the coordinator') // It did not end by itself in time.
    }
  }

  return {
    log,
    start,
    process: find,
    isReady,
    async kill() {
      const identity = find()
      if (identity !== undefined) await killAndWait([identity], 'the coordinator')
    },
    stop,
    async issueCredentials(name, directory) {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      const command = [coordinatorProgram, 'credentials', '--data-dir', dataDirectory]
      await mustRun([...command, '--name', name, '--out', directory], { env: environment })
    },
  }
}

/** The message of the last line, whether it is a log record or a sentence. */
function lastLine(text: string): string {
  const line = text.trim().split('\n').at(-1) ?? ''
  try {
    return (JSON.parse(line) as { message?: string }).message ?? line
  } catch {
    return line // A sentence.
  }
}

/** The CLI's configuration file for one cluster. */
export function writeCliConfig(
  path: string,
  context: {
    readonly name: string
    readonly coordinator: string
    readonly credentialsDirectory: string
  },
): void {
  const entry = {
    name: context.name,
    coordinator: context.coordinator,
    ca_file: join(context.credentialsDirectory, 'ca.pem'),
    cert_file: join(context.credentialsDirectory, 'cert.pem'),
    key_file: join(context.credentialsDirectory, 'key.pem'),
    namespace: 'default',
  }
  writeFileSync(path, stringify({ current_context: context.name, contexts: [entry] }), {
    mode: 0o600,
  })
}
