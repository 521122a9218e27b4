/** Calls from the main thread to a worker and back. A worker that dies rejects what it had not answered. */
import { parentPort, Worker } from 'node:worker_threads'
import { assert, CloudlessError } from '@cloudless/base'
import { fromFailureMessage, toFailureMessage, type FailureMessage } from './failure.ts'

interface Request {
  readonly id: number
  readonly body: unknown
}

type Reply =
  | { readonly id: number; readonly body: unknown }
  | { readonly id: number; readonly failure: FailureMessage }

interface Waiting {
  readonly resolve: (body: never) => void
  readonly reject: (reason: CloudlessError) => void
}

export interface WorkerCalls {
  /** Rejects with what the worker threw, or `unavailable` with details.outcome 'unknown' when it died. */
  call<Answer>(body: unknown): Promise<Answer>
  /** Asks the worker to end and waits until it has. */
  close(): Promise<void>
}

/** `onDeath` is called when the worker ends without having been asked to. */
export function startWorker(
  file: URL,
  workerData: unknown,
  onDeath: (reason: CloudlessError) => void,
): WorkerCalls {
  const worker = new Worker(file, { workerData, resourceLimits: { maxYoungGenerationSizeMb: 8 } })
  const waiting = new Map<number, Waiting>()
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  let nextId = 1
  let death: CloudlessError | undefined

  worker.on('message', (reply: Reply) => {
    const call = waiting.get(reply.id)
    waiting.delete(reply.id)
    assert(call !== undefined, 'a worker answered a question nobody asked')
    // In a turn of its own: Node hands on up to a thousand messages in one turn, and when each answer brings on the next
    // question, a worker faster than its caller would keep the sockets waiting for all of them.
    setImmediate(() => {
      if ('failure' in reply) call.reject(fromFailureMessage(reply.failure))
      else call.resolve(reply.body as never)
    })
  })
  worker.on('error', (reason) => die(reason))
  worker.on('exit', () => die('it ended'))

  function die(reason: unknown): void {
    if (death !== undefined) return
    death = new CloudlessError(
      'unavailable',
      'the metadata database is gone, and whether the last writes were done is not known; ' +
        `restart the coordinator (${CloudlessError.from(reason).message})`,
      { cause: reason, details: { outcome: 'unknown' } },
    )
    for (const call of waiting.values()) call.reject(death)
    waiting.clear()
    onDeath(death)
  }

  return {
    call: (body) =>
      new Promise((resolve, reject) => {
        if (death !== undefined) return reject(death)
        const id = nextId++
        waiting.set(id, { resolve, reject })
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- A thread, not a window.
        worker.postMessage({ id, body } satisfies Request)
      }),
    async close() {
      death ??= new CloudlessError('unavailable', 'the metadata database is closed')
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- A thread, not a window.
      worker.postMessage(undefined)
      await ended
    },
  }
}

/** The worker's side: answers each request in turn until it is asked to end, then calls `close`. */
export function serveCalls<Body>(answer: (body: Body) => unknown, close: () => void): void {
  const port = parentPort
  assert(port !== null, 'this file runs in a worker thread')
  port.on('message', (request: Request | undefined) => {
    if (request === undefined) {
      close()
      port.close()
      return
    }
    let reply: Reply
    try {
      reply = { id: request.id, body: answer(request.body as Body) }
    } catch (reason) {
      reply = { id: request.id, failure: toFailureMessage(reason) }
    }
    port.postMessage(reply)
  })
}
