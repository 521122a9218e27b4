/**
 * A pretend machine: network, processes, mounts, host name and cgroups of its own, a containerd, a disk directory.
 *
 * What runs in it outlives the program that started it, and each other as on a real machine: shims and containers
 * survive their containerd and their agent, and all of it dies at once when the power goes. The state of a host is read
 * from the kernel each time, never remembered, so that a host made by a run that was killed is an ordinary host.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { assert } from '@cloudless/base'
import { createCgroups, removeCgroups } from './cgroups.ts'
import { runCommand, type CommandOptions, type CommandResult } from './command.ts'
import { containerdSocket, prepareContainerd } from './host-containerd.ts'
import { createHostLink, type HostLink } from './host-link.ts'
import type { Network } from './network.ts'
import {
  argumentsOf,
  continueProcess,
  doorsTo,
  identifyProcess,
  innerPidOf,
  killAndWait,
  listPids,
  pidsBeside,
  signalProcess,
  type ProcessIdentity,
} from './processes.ts'
import { startInBackground } from './programs.ts'
import { waitFor } from './wait-for.ts'

export interface HostOptions {
  /** At most 12 of [a-z0-9-]: its host name, unique in its network. */
  readonly name: string
  /** Its IPv4 address in the network's subnet. */
  readonly address: string
  /** Its disk, which survives a power cut: containerd's root, logs of its tasks, and what its tasks write there. */
  readonly directory: string
}

export interface TaskOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  /** Appended to; `<directory>/<name>.log` when not given. */
  readonly log?: string
}

export interface Host {
  readonly name: string
  readonly address: string
  readonly directory: string
  readonly link: HostLink

  /** Switches it on and starts its containerd; nothing happens to what runs already. */
  boot(): Promise<void>
  isUp(): boolean

  /** Runs a program inside to its end. */
  run(command: readonly string[], options?: CommandOptions): Promise<CommandResult>

  /** The command line that runs the command inside; for what `run` does not offer. */
  enter(command: readonly string[]): string[]

  /** Starts a program inside that goes on when we end. One task per name; a running one is left alone. */
  startTask(
    name: string,
    command: readonly string[],
    options?: TaskOptions,
  ): Promise<ProcessIdentity>

  /** The running task of that name, with its pid as seen from here. */
  task(name: string): ProcessIdentity | undefined

  /** Signals the task alone, not what it started; false when it does not run. SIGKILL waits for its end. */
  kill(name: string, signal: NodeJS.Signals): Promise<boolean>

  startContainerd(): Promise<void>

  /** A path inside the host ("/run/...") as one from here; the host must be up. */
  pathOf(insidePath: string): string

  /**
   * The power goes: every process is killed at once, /run is empty at the next boot, the disk stays. The kernel closes
   * the connections, so peers notice at once; with `silently` the cable goes first and they notice nothing.
   */
  powerOff(options?: { readonly silently?: boolean }): Promise<void>

  /** Powers off and removes the disk as well. */
  destroy(): Promise<void>
}

const initScript = join(import.meta.dirname, 'host-init.sh')

/** A host of the network. It is switched on by `boot`; one that runs already is found running. */
export function createHost(network: Network, options: HostOptions): Host {
  assert(/^[a-z0-9][a-z0-9-]{0,11}$/.test(options.name), `unfit host name: ${options.name}`)
  const { name, address, directory } = options
  const hostId = `${network.prefix}.${name}`
  const link = createHostLink(network, { name, address, enter })

  function initPid(): number | undefined {
    return findHostProcesses(network.prefix, name)[0]
  }

  function enter(command: readonly string[]): string[] {
    const pid = initPid()
    assert(pid !== undefined, `host ${name} is off`)
    return ['nsenter', `--target=${pid}`, '-m', '-u', '-i', '-n', '-p', '-C', ...command]
  }

  function pathOf(insidePath: string): string {
    const pid = initPid()
    assert(pid !== undefined, `host ${name} is off`)
    return `/proc/${pid}/root${insidePath}`
  }

  async function boot(): Promise<void> {
    if (initPid() === undefined) {
      await removeCgroups(hostId)
      mkdirSync(directory, { recursive: true })
      const cgroups = createCgroups(hostId)
      const powerOn = ['power-on', markerOf(network.prefix, name), name, directory, ...cgroups]
      startInBackground(['bash', initScript, ...powerOn], join(directory, 'host.log'))
    }
    await waitFor(() => initPid() !== undefined && existsSync(pathOf('/run/ready')), {
      what: `host ${name} to come up`,
      pollMs: 10,
      describe: () => readFileSync(join(directory, 'host.log'), 'utf8'),
    })
    await link.connect(initPid()!)
    await startContainerd()
  }

  function task(taskName: string): ProcessIdentity | undefined {
    const pid = initPid()
    const path = pid === undefined ? '' : `/proc/${pid}/root/run/tasks/${taskName}`
    if (pid === undefined || !existsSync(path)) return undefined
    const innerPid = Number(readFileSync(path, 'utf8'))
    const outerPid = pidsBeside(pid).find((other) => innerPidOf(other) === innerPid)
    return outerPid === undefined ? undefined : identifyProcess(outerPid)
  }

  async function startTask(
    taskName: string,
    command: readonly string[],
    taskOptions: TaskOptions = {},
  ): Promise<ProcessIdentity> {
    const running = task(taskName)
    if (running !== undefined) return running
    rmSync(pathOf(`/run/tasks/${taskName}`), { force: true })
    const log = taskOptions.log ?? join(directory, `${taskName}.log`)
    const cwd = taskOptions.cwd ?? '/'
    const inside = ['bash', initScript, 'task', taskName, cwd, ...command]
    startInBackground(enter(inside), log, taskOptions.env)
    return waitFor(() => task(taskName), {
      what: `task ${taskName} to start on host ${name}`,
      pollMs: 5,
      describe: () => readFileSync(log, 'utf8').slice(-2000),
    })
  }

  async function kill(taskName: string, signal: NodeJS.Signals): Promise<boolean> {
    const identity = task(taskName)
    if (identity === undefined) return false
    if (signal === 'SIGCONT') return continueProcess(identity)
    if (!signalProcess(identity, signal)) return false
    if (signal === 'SIGKILL') await killAndWait([identity], `task ${taskName} of host ${name}`)
    return true
  }

  async function startContainerd(): Promise<void> {
    // The socket of one that was killed is still there and would pass for the new one's.
    if (task('containerd') === undefined) rmSync(pathOf(containerdSocket), { force: true })
    await startTask('containerd', prepareContainerd(directory))
    await waitFor(() => existsSync(pathOf(containerdSocket)), {
      what: `containerd of host ${name}`,
      pollMs: 10,
      describe: () => readFileSync(join(directory, 'containerd.log'), 'utf8').slice(-2000),
    })
  }

  async function powerOff(how: { readonly silently?: boolean } = {}): Promise<void> {
    if (how.silently === true) await link.cut()
    await killHostProcesses(network.prefix, name)
    await link.remove()
    await removeCgroups(hostId)
  }

  return {
    name,
    address,
    directory,
    link,
    boot,
    isUp: () => initPid() !== undefined,
    enter,
    run: (command, commandOptions) => runCommand(enter(command), commandOptions),
    startTask,
    task,
    kill,
    startContainerd,
    pathOf,
    powerOff,
    async destroy() {
      await powerOff()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** The first processes of running hosts of that prefix: of one host, or of all. */
export function findHostProcesses(prefix: string, name?: string): number[] {
  const marker = markerOf(prefix, name ?? '')
  return listPids().filter((pid) => {
    const [program, , action, found] = argumentsOf(pid)
    if (program !== 'bash' || action !== 'first-process' || found === undefined) return false
    return name === undefined ? found.startsWith(marker) : found === marker
  })
}

/** Disk directories of the running hosts of that prefix. */
export function disksInUse(prefix: string): string[] {
  return findHostProcesses(prefix).map((pid) => argumentsOf(pid)[5] ?? '')
}

/** Kills the first process, with which the kernel kills all others, and waits until none is left. */
export async function killHostProcesses(prefix: string, name?: string): Promise<void> {
  for (const pid of findHostProcesses(prefix, name)) {
    const beside = pidsBeside(pid)
      .map(identifyProcess)
      .filter((identity) => identity !== undefined)
    const first = identifyProcess(pid)
    if (first !== undefined) signalProcess(first, 'SIGKILL')
    for (const door of doorsTo(pid)) signalProcess(door, 'SIGCONT')
    await killAndWait(beside, `host ${name ?? prefix}`)
  }
}

function markerOf(prefix: string, name: string): string {
  return `cloudless-host:${prefix}:${name}`
}
