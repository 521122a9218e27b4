/**
 * Around every handler: each message is checked against the table of rights, the call ends when its deadline, its
 * caller or its right does, and whatever is thrown leaves as a status with a code of ours.
 */
import { assert, CloudlessError, type Clock } from '@cloudless/base'
import { fromConnectError } from '@cloudless/api'
import { Code, ConnectError, type Interceptor } from '@connectrpc/connect'
import { contextIn } from './call-context.ts'
import { requireOwnVoice } from './request-gate.ts'
import { explainParseError } from './parse-errors.ts'
import { createOutcomeReporter, type CallObserver } from './call-observer.ts'

export function createServerInterceptor(deps: {
  readonly clock: Clock
  readonly observer: CallObserver
}): Interceptor {
  return (next) => async (request) => {
    const call = contextIn(request.contextValues)
    const report = createOutcomeReporter(deps, request.method, call)
    const checked = (message: unknown): void =>
      requireOwnVoice(call.connection.peerAt(deps.clock.wallMs()), request.method, message)
    const received = (message: unknown): void => {
      deps.observer.streamMessage?.(request.method, 'received')
      checked(message)
    }
    const sent = (): void => deps.observer.streamMessage?.(request.method, 'sent')
    const signal = AbortSignal.any([request.signal, call.ended])
    try {
      if (!request.stream) checked(request.message)
      const response = await untilAborted(
        next(
          request.stream
            ? { ...request, signal, message: eachChecked(request.message, received) }
            : { ...request, signal },
        ),
        signal,
      )
      if (!response.stream) {
        report(undefined)
        return response
      }
      return { ...response, message: reported(endedBy(response.message, signal), report, sent) }
    } catch (reason) {
      throw report(reason)
    }
  }
}

async function* eachChecked<Message>(
  messages: AsyncIterable<Message>,
  check: (message: Message) => void,
): AsyncGenerator<Message> {
  try {
    for await (const message of messages) {
      check(message)
      yield message
    }
  } catch (reason) {
    throw explainParseError(reason)
  }
}

/** The result, or the reason of the signal when that is sooner: a handler that does not listen is left behind. */
function untilAborted<Result>(result: Promise<Result>, signal: AbortSignal): Promise<Result> {
  if (signal.aborted) {
    result.catch(() => undefined) // Nobody waits for it any more.
    return Promise.reject(reasonOf(signal))
  }
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(reasonOf(signal))
    signal.addEventListener('abort', onAbort, { once: true })
    result.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

/** The messages until the signal is aborted; then its reason is thrown, whatever the source does. */
async function* endedBy<Message>(
  messages: AsyncIterable<Message>,
  signal: AbortSignal,
): AsyncGenerator<Message> {
  const source = messages[Symbol.asyncIterator]()
  try {
    for (;;) {
      const step = await untilAborted(source.next(), signal)
      if (step.done === true) return
      yield step.value
    }
  } finally {
    // Lets the handler's finally blocks run; a handler that is stuck is not waited for.
    void source.return?.().catch(() => undefined)
  }
}

async function* reported<Message>(
  messages: AsyncIterable<Message>,
  report: (reason: unknown) => unknown,
  sent: () => void,
): AsyncGenerator<Message> {
  let finished = false
  try {
    for await (const message of messages) {
      sent()
      yield message
    }
    finished = true
    report(undefined)
  } catch (reason) {
    finished = true
    throw report(reason)
  } finally {
    if (!finished) report(new CloudlessError('cancelled', 'the caller went away'))
  }
}

function reasonOf(signal: AbortSignal): unknown {
  assert(signal.aborted, 'asked for the reason of an end that has not come')
  const { reason } = signal
  if (reason instanceof CloudlessError) return reason
  if (reason instanceof ConnectError && reason.code !== Code.Unknown)
    return fromConnectError(reason)
  return new CloudlessError('cancelled', 'the caller went away', { cause: reason })
}
