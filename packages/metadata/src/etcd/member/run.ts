/** One run of an etcd: a child process in a session of its own, so that what ends us at a terminal does not end it first. */
import { spawn, type ChildProcess } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { setPriority } from 'node:os'
import { createInterface } from 'node:readline'
import { CloudlessError, sleep, type Clock } from '@cloudless/base'
import { OutputTail, parseOutputLine, type OutputForwarder } from './output.ts'

export interface EtcdRun {
  readonly pid: number
  readonly tail: OutputTail
  /** How it ended, in words, once it has and all that it said was read. Never rejects. */
  readonly ended: Promise<string>
  /** Higher than that of what runs in containers, where that is permitted: an election is lost within milliseconds. */
  raisePriority(): void
  /** Asks it to end; after a while it must. */
  stop(): Promise<void>
  /** SIGKILL. */
  kill(): void
}

export interface RunDeps {
  readonly clock: Clock
  readonly forwarder: OutputForwarder
}

/**
 * It looks for up to ten seconds for somebody to hand its leadership to, and only then writes down how far it knows its log
 * to be committed. What it does not know of after that is lost when it becomes the only member.
 */
const stopMsMax = 20_000
const priority = -10

/** `failed_precondition` when the system does not run it. */
export async function runEtcd(
  { clock, forwarder }: RunDeps,
  path: string,
  flags: readonly string[],
): Promise<EtcdRun> {
  const child = spawn(path, flags, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment(),
  })
  const tail = new OutputTail()
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      const parsed = parseOutputLine(line)
      tail.add(parsed)
      forwarder.forward(parsed)
    })
  }
  const ended = endOf(child)
  await spawned(child, path)
  const pid = child.pid!
  return {
    pid,
    tail,
    ended,
    raisePriority: () => raisePriorityOf(pid),
    kill: () => void child.kill('SIGKILL'),
    stop: async () => {
      const stopped = new AbortController()
      const waited = sleep(clock, stopMsMax, stopped.signal).then(
        () => child.kill('SIGKILL'),
        () => undefined, // It ended in time.
      )
      child.kill('SIGTERM')
      await ended
      stopped.abort(new Error('ended'))
      await waited
    },
  }
}

/**
 * Of ours only what it needs: variables such as ETCD_NAME would count as its flags. With one thread for its own code it
 * costs a quarter less at rest, and does as much: what is written comes to it in batches (decision 0020).
 */
function environment(): Record<string, string> {
  const own = { PATH: process.env['PATH'] ?? '', GOMAXPROCS: '1' }
  // Elsewhere than on the usual servers, such as on ARM before 3.5, it wants to be told that it may run.
  return process.arch === 'x64' ? own : { ...own, ETCD_UNSUPPORTED_ARCH: process.arch }
}

function spawned(child: ChildProcess, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', (reason) => {
      const { message } = CloudlessError.from(reason, `running ${path}`)
      reject(new CloudlessError('failed_precondition', message, { cause: reason }))
    })
  })
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (reason) => resolve(reason.message))
    child.once('close', (code, signal) =>
      resolve(signal === null ? `it exited with code ${code}` : `it was ended by ${signal}`),
    )
  })
}

/** Of every thread: each has its own, and hands it on to those that it starts. */
function raisePriorityOf(pid: number): void {
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) setPriority(Number(thread), priority)
  } catch {
    // Not permitted, or gone already: it does without.
  }
}
