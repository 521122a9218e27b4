/**
 * An etcd that outlived the process that looked after it: ended before another is started on the same directory.
 *
 * The system is asked which processes there are, not a file: whoever has this data directory on its command line is it,
 * also when there was no time to write down who it was.
 */
import { readdir, readFile, readlink } from 'node:fs/promises'
import { basename } from 'node:path'
import { CloudlessError, sleep, systemCodeOf, type Clock } from '@cloudless/base'
import { dataDirectoryFlag } from './flags.ts'

export interface FoundProcess {
  readonly pid: number
  readonly arguments: readonly string[]
  readonly parentPid: number
  /** What its parent runs; undefined when that cannot be seen. */
  readonly parentExecutable: string | undefined
}

export interface OrphanQuestion {
  readonly dataDirectory: string
  /** File name of the program. */
  readonly binaryName: string
  readonly ownPid: number
  /** What we run ourselves. */
  readonly ownExecutable: string
}

/** 'supervised': another of our kind still looks after it. */
export type OrphanVerdict = 'stranger' | 'orphan' | 'supervised'

export interface OrphanOptions {
  readonly dataDirectory: string
  readonly binaryPath: string
}

/** With its peers there it hands over and stops in one; without them it would look for somebody for ten. */
const politeMsMax = 2_000
const killedMsMax = 5_000
const lookMs = 50

/** Returns the ids of those that were ended. `failed_precondition` when another coordinator looks after it. */
export async function endOrphans(clock: Clock, options: OrphanOptions): Promise<number[]> {
  const question = {
    dataDirectory: options.dataDirectory,
    binaryName: basename(options.binaryPath),
    ownPid: process.pid,
    ownExecutable: process.execPath,
  }
  const ended: number[] = []
  for (const found of await findEtcds(options.dataDirectory)) {
    const verdict = judgeProcess(found, question)
    if (verdict === 'stranger') continue
    if (verdict === 'supervised') {
      throw new CloudlessError(
        'failed_precondition',
        `starting etcd on ${options.dataDirectory}: process ${found.pid} runs it already, and ` +
          `process ${found.parentPid} looks after that one; stop that coordinator first`,
      )
    }
    await end(clock, found.pid)
    ended.push(found.pid)
  }
  return ended
}

/** Pure. */
export function judgeProcess(found: FoundProcess, question: OrphanQuestion): OrphanVerdict {
  const [program = '', ...flags] = found.arguments
  const isEtcd = [question.binaryName, 'etcd'].includes(basename(program))
  if (!isEtcd || !flags.includes(dataDirectoryFlag(question.dataDirectory))) return 'stranger'
  if (found.parentPid <= 1 || found.parentPid === question.ownPid) return 'orphan'
  // Whoever else takes in orphans here is no coordinator.
  return programOf(found.parentExecutable ?? '') === programOf(question.ownExecutable)
    ? 'supervised'
    : 'orphan'
}

/** The system says so of a program that was replaced while it runs. */
function programOf(executable: string): string {
  return basename(executable).replace(/ \(deleted\)$/, '')
}

async function findEtcds(dataDirectory: string): Promise<FoundProcess[]> {
  const flag = dataDirectoryFlag(dataDirectory)
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const found: FoundProcess[] = []
  for (const pid of pids) {
    const process = await processWith(pid, flag)
    if (process !== undefined) found.push(process)
  }
  return found
}

async function processWith(pid: number, flag: string): Promise<FoundProcess | undefined> {
  const words = (await readOf(`/proc/${pid}/cmdline`)).split('\0')
  if (!words.includes(flag)) return undefined
  // The second field is the name, which may hold anything; then the state, then the parent.
  const afterName = (await readOf(`/proc/${pid}/stat`)).split(') ').at(-1) ?? ''
  const parentPid = Number(afterName.split(' ')[1] ?? 0)
  const parentExecutable = await readlink(`/proc/${parentPid}/exe`).catch(() => undefined)
  return { pid, arguments: words, parentPid, parentExecutable }
}

/** Empty when the process is gone. */
function readOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '')
}

async function end(clock: Clock, pid: number): Promise<void> {
  for (const [signal, waitMs] of [
    ['SIGTERM', politeMsMax],
    ['SIGKILL', killedMsMax],
  ] as const) {
    if (!(await sendTo(pid, signal))) return
    for (const untilMs = clock.monotonicMs() + waitMs; clock.monotonicMs() < untilMs;) {
      if (await isGone(pid)) return
      await sleep(clock, lookMs)
    }
  }
  throw new CloudlessError('failed_precondition', `ending process ${pid}, an etcd: it does not end`)
}

async function sendTo(pid: number, signal: NodeJS.Signals): Promise<boolean> {
  try {
    return process.kill(pid, signal)
  } catch (reason) {
    if (systemCodeOf(reason) === 'ESRCH') return false
    throw CloudlessError.from(reason, `ending process ${pid}, an etcd left by another coordinator`)
  }
}

/** A zombie holds nothing any more. */
async function isGone(pid: number): Promise<boolean> {
  const afterName = (await readOf(`/proc/${pid}/stat`)).split(') ').at(-1) ?? ''
  return afterName === '' || afterName.startsWith('Z') || afterName.startsWith('X')
}
