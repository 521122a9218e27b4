/** For tests: a member of a running coordinator that does what agents do on the wire, and runs nothing. */
import type { TestContext } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  AgentMessageSchema,
  CoordinatorService,
  ReplicaState,
  type AgentMessage,
  type Assignment,
  type CoordinatorMessage,
  type NodeCapabilitiesSchema,
  type ReplicaObservationSchema,
} from '@cloudless/api'
import { systemClock } from '@cloudless/base'
import { createCsr, createKey, type Credentials } from '@cloudless/identity'
import { createClient, type Client } from '@connectrpc/connect'
import { transportTo } from '../server/testing.ts'
import { cleanUp, eventually } from './cluster.ts'
import type { RunningCoordinator } from './running-coordinator.ts'

const room = { cpuMillicores: 4_000, memoryBytes: 4n << 30n, storageBytes: 10n << 30n }

export interface TalkingAgent {
  readonly nodeId: string
  readonly credentials: Credentials
  readonly client: Client<typeof CoordinatorService>
  /** What it was told to run, by replica. */
  readonly assignments: Map<string, Assignment>
  readonly heard: CoordinatorMessage['message']['case'][]
  /** Says what the replica is; the fields that are not given are those of a running, ready one. */
  observe(replicaId: string, given?: MessageInitShape<typeof ReplicaObservationSchema>): void
  send(message: MessageInitShape<typeof AgentMessageSchema>['message']): void
  /** Cuts its connection, as kill -9 would. */
  cut(): void
}

/** Enrols with a token of its own and opens a session, or comes back with the credentials it has. `says`: in its hello. */
export async function joinCluster(
  t: TestContext,
  coordinator: RunningCoordinator,
  name: string,
  known?: Pick<TalkingAgent, 'nodeId' | 'credentials'>,
  says: { readonly capabilities?: MessageInitShape<typeof NodeCapabilitiesSchema> } = {},
): Promise<TalkingAgent> {
  const { nodeId, credentials } = known ?? (await enrol(t, coordinator, name))
  const client = createClient(CoordinatorService, transportTo(t, coordinator, credentials))
  const assignments = new Map<string, Assignment>()
  const heard: TalkingAgent['heard'] = []
  const outgoing = new Outgoing()
  const ending = new AbortController()
  const send = (message: MessageInitShape<typeof AgentMessageSchema>['message']): void =>
    outgoing.push(create(AgentMessageSchema, { message: message! }))
  let sequence = 0n

  send({
    case: 'hello',
    value: {
      nodeId,
      agentVersion: 'test',
      capacity: room,
      allocatable: room,
      instanceId: `${name}-${systemClock.monotonicMs()}`,
      runtimeReady: true,
      wallTimeMs: BigInt(systemClock.wallMs()),
      ...says,
    },
  })
  const beat = (): void => {
    sequence++
    send({
      case: 'heartbeat',
      value: { nodeId, sequence, roundTripMs: 1.5, usage: { cpuMillicores: 10, memoryBytes: 1n } },
    })
    cancelBeat = systemClock.after(300, beat)
  }
  let cancelBeat = systemClock.after(100, beat)
  const cut = (): void => {
    cancelBeat()
    ending.abort()
  }
  cleanUp(t, cut)
  const talk = async (): Promise<void> => {
    for await (const { message } of client.session(outgoing.messages(), {
      signal: ending.signal,
    })) {
      heard.push(message.case)
      if (message.case !== 'assignments') continue
      for (const one of message.value.upsert) assignments.set(one.replicaId, one)
      for (const { replicaId } of message.value.stop) assignments.delete(replicaId)
    }
  }
  talk().catch(() => undefined) // The test looks at what was heard.
  await eventually(
    () => heard.includes('assignments'),
    () => heard,
  )
  return {
    nodeId,
    credentials,
    client,
    assignments,
    heard,
    send,
    cut,
    observe(replicaId, given = {}) {
      sequence++
      const observation = {
        replicaId,
        sequence,
        state: ReplicaState.RUNNING,
        ready: true,
        revision: assignments.get(replicaId)?.revision ?? 1n,
        ...given,
      }
      send({ case: 'replicas', value: { replicas: [observation] } })
    },
  }
}

async function enrol(
  t: TestContext,
  coordinator: RunningCoordinator,
  name: string,
): Promise<{ readonly nodeId: string; readonly credentials: Credentials }> {
  const { token } = await coordinator.client.createJoinToken({})
  const keyPem = await createKey()
  const stranger = createClient(CoordinatorService, transportTo(t, coordinator))
  const answer = await stranger.enrollNode({
    token,
    nodeName: name,
    csrPem: await createCsr(keyPem),
    capacity: room,
    allocatable: room,
  })
  const { nodeId, certificate, caCertificate } = answer
  return { nodeId, credentials: { keyPem, certificatePem: certificate, caPem: caCertificate } }
}

/** What it has to say, in order, for as long as the stream is open. */
class Outgoing {
  readonly #waiting: AgentMessage[] = []
  #wake: (() => void) | undefined

  push(message: AgentMessage): void {
    this.#waiting.push(message)
    this.#wake?.()
  }

  async *messages(): AsyncGenerator<AgentMessage> {
    for (;;) {
      const message = this.#waiting.shift()
      if (message !== undefined) yield message
      else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}
