/**
 * What /proc knows of the processes of this machine.
 *
 * Nothing here is remembered in files: a host's processes are found by their pid namespace and a pretend machine's first
 * process by a marker in its arguments, so a run that was killed leaves nothing that a later one cannot find.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { waitFor } from './wait-for.ts'

/** A process, safe against its pid being given to another one. */
export interface ProcessIdentity {
  readonly pid: number
  /** Clock ticks since boot at which it started. */
  readonly startTicks: string
}

/** Undefined when there is no such process, or only its unreaped rest. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const stat = readProc(`${pid}/stat`)
  // The second field is the program's name in parentheses and may hold anything; fields are counted after it.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (fields === undefined || fields[0] === 'Z' || fields[0] === 'X') return undefined
  return { pid, startTicks: fields[19]! }
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.startTicks === identity.startTicks
}

/** Every pid visible from here. */
export function listPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

/** The program and its arguments; empty for kernel threads and for processes that are gone. */
export function argumentsOf(pid: number): readonly string[] {
  return (readProc(`${pid}/cmdline`) ?? '').split('\0').slice(0, -1)
}

/** Names a namespace of a process, such as "pid:[4026531836]"; undefined when the process is gone. */
export function namespaceOf(pid: number, kind: 'pid' | 'mnt' | 'net'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`)
  } catch {
    return undefined // It ended between being listed and being looked at.
  }
}

/** Pids of the processes whose pid namespace is that of `pid`, itself included. */
export function pidsBeside(pid: number): number[] {
  const namespace = namespaceOf(pid, 'pid')
  if (namespace === undefined) return []
  return listPids().filter((other) => namespaceOf(other, 'pid') === namespace)
}

/** The pid a process has in its own, innermost pid namespace. */
export function innerPidOf(pid: number): number | undefined {
  const line = /^NSpid:\s*(.+)$/m.exec(readProc(`${pid}/status`) ?? '')?.[1]
  return line === undefined ? undefined : Number(line.split(/\s+/).at(-1))
}

/**
 * The programs (nsenter) through which others came into the pretend machine whose first process has this pid. One stops
 * when what it brought in stops, and then takes no note of its end: the machine is not off before it goes on.
 */
export function doorsTo(firstPid: number): ProcessIdentity[] {
  return listPids()
    .filter((pid) => isDoor(pid) && argumentsOf(pid)[1] === `--target=${firstPid}`)
    .map(identifyProcess)
    .filter((identity) => identity !== undefined)
}

function doorOf({ pid }: ProcessIdentity): ProcessIdentity | undefined {
  const parent = Number(/^PPid:\s*(\d+)$/m.exec(readProc(`${pid}/status`) ?? '')?.[1] ?? 0)
  return isDoor(parent) ? identifyProcess(parent) : undefined
}

function isDoor(pid: number): boolean {
  return argumentsOf(pid)[0] === 'nsenter'
}

/** Lets it go on, and its door first. */
export function continueProcess(identity: ProcessIdentity): boolean {
  const door = doorOf(identity)
  if (door !== undefined) signalProcess(door, 'SIGCONT')
  return signalProcess(identity, 'SIGCONT')
}

/** Sends a signal; false when there is no such process any more. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false
  try {
    process.kill(identity.pid, signal)
    return true
  } catch {
    return false // It ended between the look and the signal.
  }
}

/** SIGKILL, then waits until all are gone. */
export async function killAndWait(
  identities: readonly ProcessIdentity[],
  what: string,
): Promise<void> {
  for (const identity of identities) signalProcess(identity, 'SIGKILL')
  await waitFor(() => !identities.some(isAlive), { what: `the end of ${what}`, pollMs: 10 })
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(`/proc/${path}`, 'utf8')
  } catch {
    return undefined // It ended between being listed and being looked at.
  }
}
