/**
 * AgentService as operators see it: each call goes on to the node that holds the container, or to the node it names.
 * Deadline, cancellation and ids go with it; answers and errors come back as the agent gave them.
 */
import { AgentService, fromConnectError, type ExecInput } from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'
import { requestIdHeaders } from '@cloudless/observability'
import type { CallOptions, HandlerContext, ServiceImpl } from '@connectrpc/connect'
import type { AgentClient } from './agent-gateway.ts'
import { callContextOf } from './call-context.ts'
import { serve, type ServedService } from './rpc-handler.ts'

/** What a request says of where it should go; at least one is not empty. */
export interface AgentTarget {
  /** A container's id or its replica's. */
  readonly containerId: string
  /** Id or name of a node; wins when both are given. */
  readonly nodeId: string
}

export interface AgentForwardingDeps {
  /** The node's id. Throws `not_found` with a sentence when there is no such container or node. */
  readonly locate: (target: AgentTarget) => string | Promise<string>
  readonly clientFor: (nodeId: string, signal: AbortSignal) => Promise<AgentClient>
}

export function createAgentForwarding(deps: AgentForwardingDeps): ServedService {
  const unary =
    <Request extends Targeted, Response>(
      call: (client: AgentClient, request: Request, options: CallOptions) => Promise<Response>,
    ) =>
    async (request: Request, context: HandlerContext): Promise<Response> => {
      const client = await clientFor(deps, request, context)
      return call(client, request, callOptions(context)).catch(rethrow)
    }
  const streaming = <Request extends Targeted, Response>(
    call: (client: AgentClient, request: Request, options: CallOptions) => AsyncIterable<Response>,
  ) =>
    async function* forward(request: Request, context: HandlerContext): AsyncGenerator<Response> {
      const client = await clientFor(deps, request, context)
      yield* withOurErrors(call(client, request, callOptions(context)))
    }
  return serve(AgentService, {
    runContainer: unary((client, request, options) => client.runContainer(request, options)),
    stopContainer: unary((client, request, options) => client.stopContainer(request, options)),
    getContainerStatus: unary((client, request, options) =>
      client.getContainerStatus(request, options),
    ),
    listContainers: unary((client, request, options) => client.listContainers(request, options)),
    streamLogs: streaming((client, request, options) => client.streamLogs(request, options)),
    execCommand: unary((client, request, options) => client.execCommand(request, options)),
    async *exec(inputs, context) {
      const { start, all } = await peekStart(inputs)
      const client = await clientFor(deps, start, context)
      yield* withOurErrors(client.exec(all, callOptions(context)))
    },
    reportResources: unary((client, request, options) => client.reportResources(request, options)),
    getFragments: unary((client, request, options) => client.getFragments(request, options)),
    getContainerStats: unary((client, request, options) =>
      client.getContainerStats(request, options),
    ),
    listImages: unary((client, request, options) => client.listImages(request, options)),
    pullImage: streaming((client, request, options) => client.pullImage(request, options)),
  } satisfies ServiceImpl<typeof AgentService>)
}

interface Targeted {
  readonly nodeId: string
  readonly containerId?: string
}

async function clientFor(
  deps: AgentForwardingDeps,
  request: Targeted,
  context: HandlerContext,
): Promise<AgentClient> {
  const target = { containerId: request.containerId ?? '', nodeId: request.nodeId }
  if (target.containerId === '' && target.nodeId === '') {
    const fields = 'containerId' in request ? 'container_id or node_id' : 'node_id'
    throw new CloudlessError('invalid_argument', `${fields}: must not be empty`, {
      details: { field: 'node_id' },
    })
  }
  return deps.clientFor(await deps.locate(target), context.signal)
}

function callOptions(context: HandlerContext): CallOptions {
  const timeoutMs = context.timeoutMs()
  return {
    signal: context.signal,
    headers: requestIdHeaders(callContextOf(context)),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  }
}

/** Errors of the agent as the CloudlessError it threw. */
function rethrow(reason: unknown): never {
  throw fromConnectError(reason)
}

async function* withOurErrors<Message>(messages: AsyncIterable<Message>): AsyncGenerator<Message> {
  try {
    yield* messages
  } catch (reason) {
    rethrow(reason)
  }
}

/** The first input, which says where to go, and all inputs with it. */
async function peekStart(inputs: AsyncIterable<ExecInput>): Promise<{
  readonly start: Targeted
  readonly all: AsyncIterable<ExecInput>
}> {
  const source = inputs[Symbol.asyncIterator]()
  const first = await source.next()
  if (first.done === true || first.value.input.case !== 'start') {
    throw new CloudlessError('invalid_argument', 'start: must be the first input of Exec', {
      details: { field: 'start' },
    })
  }
  return { start: first.value.input.value, all: restored(first.value, source) }
}

async function* restored<Item>(first: Item, rest: AsyncIterator<Item>): AsyncGenerator<Item> {
  yield first
  for (;;) {
    const step = await rest.next()
    if (step.done === true) return
    yield step.value
  }
}
