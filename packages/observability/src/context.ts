/** Which request the code that runs now runs for; follows promises, timers and callbacks by itself. */
import { AsyncLocalStorage } from 'node:async_hooks'

export interface Actor {
  readonly type: 'user' | 'system' | 'node'
  readonly id: string
}

export interface Context {
  /** One call. */
  readonly requestId?: string
  /** All that follows from what somebody asked for, over every process it passes. */
  readonly correlationId?: string
  readonly actor?: Actor
  readonly nodeId?: string
  readonly workloadId?: string
}

const storage = new AsyncLocalStorage<Context>()
const nothing: Context = Object.freeze({})

/** Empty when nobody set one. */
export function currentContext(): Context {
  return storage.getStore() ?? nothing
}

/** Runs `run` with these ids added to the current ones. */
export function runWithContext<T>(context: Context, run: () => T): T {
  return storage.run({ ...storage.getStore(), ...context }, run)
}

/** The same messages, each made within `context`: a generator's body otherwise runs in its consumer's. */
export function iterateWithContext<Message>(
  context: Context,
  messages: AsyncIterable<Message>,
): AsyncIterable<Message> {
  return {
    [Symbol.asyncIterator]() {
      const source = runWithContext(context, () => messages[Symbol.asyncIterator]())
      return {
        next: () => runWithContext(context, () => source.next()),
        return: async (value?: unknown) =>
          source.return === undefined
            ? { done: true, value }
            : runWithContext(context, () => source.return!(value)),
      }
    },
  }
}
