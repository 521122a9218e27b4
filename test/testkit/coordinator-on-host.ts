/** A real coordinator with its RAFT member on a pretend machine. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { mustRun, type CommandResult } from './command.ts'
import type { Host } from './host.ts'
import { httpAnswers } from './http-answers.ts'
import {
  argumentsOf,
  continueProcess,
  identifyProcess,
  killAndWait,
  listPids,
  signalProcess,
  type ProcessIdentity,
} from './processes.ts'
import { cleanEnvironment, coordinatorProgram } from './programs.ts'
import { waitFor } from './wait-for.ts'

export interface CoordinatorOnHostOptions {
  readonly id: string
  /** Nested settings, written to its configuration file. */
  readonly config?: Readonly<Record<string, unknown>>
}

export interface CoordinatorOnHost {
  readonly id: string
  readonly host: Host
  /** "host:port" of its API. */
  readonly address: string
  readonly dataDirectory: string
  readonly log: string
  /** Starts it unless it runs; resolves when it is ready. `flags` are needed the first time only. */
  start(flags?: readonly string[]): Promise<void>
  /** As `start`, without waiting until it is ready; `env` is set beside the usual. */
  begin(flags?: readonly string[], env?: NodeJS.ProcessEnv): Promise<void>
  waitUntilReady(): Promise<void>
  /** Runs `coordinator VERB` with its settings, on its machine, to its end. */
  run(verb: string, flags?: readonly string[]): Promise<CommandResult>
  process(): ProcessIdentity | undefined
  /** Of the coordinator and of its RAFT member, those that run. */
  pids(): number[]
  /** SIGKILL, the coordinator alone: its RAFT member goes on until the next start. */
  kill(): Promise<void>
  /** SIGKILL, both at once. */
  killWithRaftMember(): Promise<void>
  /** SIGTERM; resolves when it has ended. */
  stop(): Promise<void>
  signal(signal: NodeJS.Signals): Promise<boolean>
  /** To both at once. */
  signalWithRaftMember(signal: NodeJS.Signals): void
  /** Writes key, certificate and CA of an operator into the directory. */
  issueCredentials(name: string, directory: string): Promise<void>
}

const apiPort = 8080
const healthPort = 8081
const task = 'coordinator'
const readyMsMax = 40_000
const runMsMax = 60_000

export function createCoordinatorOn(
  host: Host,
  options: CoordinatorOnHostOptions,
): CoordinatorOnHost {
  const dataDirectory = join(host.directory, 'coordinator')
  const log = join(host.directory, 'coordinator.log')
  const configFile = join(host.directory, 'coordinator.yaml')
  const address = `${host.address}:${apiPort}`
  const health = `${host.address}:${healthPort}`

  const waitUntilReady = (): Promise<void> =>
    waitFor(() => httpAnswers(`http://${health}/readyz`), {
      what: `coordinator ${options.id} to be ready`,
      deadlineMs: readyMsMax,
      pollMs: 20,
      describe: () => readFileSync(log, 'utf8').slice(-3000),
    }).then(() => undefined)

  function settings(): string[] {
    writeFileSync(configFile, stringify(options.config ?? {}))
    return [
      ...['--config', configFile, '--data-dir', dataDirectory],
      ...['--bind-addr', address, '--health-addr', health, '--raft-id', options.id],
    ]
  }

  const begin = async (flags: readonly string[] = [], env: NodeJS.ProcessEnv = {}) => {
    mkdirSync(dataDirectory, { recursive: true, mode: 0o700 })
    const command = [coordinatorProgram, ...settings(), ...flags]
    await host.startTask(task, command, { env: cleanEnvironment(env), log })
  }

  const both = (): ProcessIdentity[] =>
    [host.task(task), raftMemberIn(dataDirectory)].filter((identity) => identity !== undefined)

  return {
    id: options.id,
    host,
    address,
    dataDirectory,
    log,
    begin,
    async start(flags) {
      await begin(flags)
      await waitUntilReady()
    },
    waitUntilReady,
    async run(verb, flags = []) {
      const command = [coordinatorProgram, verb, ...settings(), ...flags]
      return host.run(command, { env: cleanEnvironment(), deadlineMs: runMsMax })
    },
    process: () => host.task(task),
    pids: () => both().map(({ pid }) => pid),
    async kill() {
      await host.kill(task, 'SIGKILL')
    },
    async killWithRaftMember() {
      // Again, for one that was being started at that moment.
      for (let alive = both(); alive.length > 0; alive = both()) {
        await killAndWait(alive, `coordinator ${options.id}`)
      }
    },
    async stop() {
      if (!(await host.kill(task, 'SIGTERM'))) return
      await waitFor(() => host.task(task) === undefined, {
        what: `coordinator ${options.id} to end`,
        deadlineMs: 35_000,
      })
    },
    signal: (signal) => host.kill(task, signal),
    signalWithRaftMember(signal) {
      for (const identity of both()) {
        if (signal === 'SIGCONT') continueProcess(identity)
        else signalProcess(identity, signal)
      }
    },
    async issueCredentials(name, directory) {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      const command = [coordinatorProgram, 'credentials', '--data-dir', dataDirectory]
      await mustRun([...command, '--name', name, '--out', directory], { env: cleanEnvironment() })
    },
  }
}

/** The etcd that a coordinator with this data directory has started. */
function raftMemberIn(dataDirectory: string): ProcessIdentity | undefined {
  const wanted = `--data-dir=${join(dataDirectory, 'raft', 'etcd')}`
  const pid = listPids().find((candidate) => argumentsOf(candidate).includes(wanted))
  return pid === undefined ? undefined : identifyProcess(pid)
}
