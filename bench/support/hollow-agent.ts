/** A member that does what an agent does on the wire, and runs nothing: what it is given runs at once, as it says. */
import { randomBytes } from 'node:crypto'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  AgentMessageSchema,
  EnrollNodeRequestSchema,
  ReplicaState,
  type Assignment,
  type AssignmentUpdate,
  type ReplicaObservationSchema,
} from '@cloudless/api'
import { sleep, systemClock } from '@cloudless/base'
import { createCsr, createKey, type Credentials } from '@cloudless/identity'
import { enrollNode, openSession } from './hollow-session.ts'

export interface Meeting {
  /** "host:port" of the coordinator. */
  readonly address: string
  readonly caPem: string
  readonly token: string
}

export interface HollowAgentDeps {
  /** Told of each replica when it is assigned, at that moment. */
  readonly onAssigned: (assignment: Assignment) => void
  readonly onReported: (count: number) => void
  /** Its session was ended; true: it dials again. */
  readonly onEnd: (reason: unknown) => boolean
}

/** A server with 64 cores: 200 replicas of the bench take a third of it. */
const room = {
  cpuMillicores: 64_000,
  memoryBytes: 256n << 30n,
  storageBytes: 2n << 40n,
  bandwidthBps: 10_000_000_000n,
}
/** What is given within so much time is reported together, as containers that start take their time. */
const reportDelayMs = 200
const redialDelayMs = 500

type Outgoing = MessageInitShape<typeof AgentMessageSchema>['message']
type Observation = MessageInitShape<typeof ReplicaObservationSchema>

/** What a device makes on its own before it calls: its key, and the request for a certificate. */
export interface Identity {
  readonly keyPem: string
  readonly csrPem: string
}

export async function createIdentity(): Promise<Identity> {
  const keyPem = await createKey()
  return { keyPem, csrPem: await createCsr(keyPem) }
}

/**
 * Enrols under this name and opens its session. Resolves when it has its first assignments, be they none. A session that
 * ends later is begun anew when `deps.onEnd` says so.
 */
export async function startHollowAgent(
  deps: HollowAgentDeps,
  meeting: Meeting,
  name: string,
  identity?: Identity,
): Promise<void> {
  const member = await enrol(meeting, name, identity ?? (await createIdentity()))
  const first = Promise.withResolvers<void>()
  const live = async (): Promise<void> => {
    for (;;) {
      try {
        await talk(deps, meeting, { ...member, name }, first.resolve)
      } catch (reason) {
        first.reject(reason)
        if (!deps.onEnd(reason)) return
        await sleep(systemClock, redialDelayMs)
      }
    }
  }
  void live()
  await first.promise
}

interface Member {
  readonly nodeId: string
  readonly name: string
  readonly credentials: Credentials
}

/** One session, to its end, which it throws. */
async function talk(
  deps: HollowAgentDeps,
  { address }: Meeting,
  { nodeId, name, credentials }: Member,
  onAssigned: () => void,
): Promise<never> {
  const session = openSession(address, credentials, ({ message }) => {
    if (message.case === 'welcome') beat(Number(message.value.heartbeatIntervalMs))
    if (message.case === 'heartbeatAck') intervalMs = Number(message.value.heartbeatIntervalMs)
    if (message.case !== 'assignments') return
    take(message.value)
    onAssigned()
  })
  const send = (message: Outgoing): void => {
    if (!ended) session.send(create(AgentMessageSchema, { message: message! }).message)
  }
  const reports = new Reports(send, deps.onReported)
  let intervalMs = 0
  let ended = false
  send({ case: 'hello', value: helloOf(nodeId, name) })
  try {
    return await session.ended
  } finally {
    ended = true
    session.close()
  }

  function beat(welcomeIntervalMs: number): void {
    intervalMs = welcomeIntervalMs
    let sequence = 0n
    const value = { nodeId, roundTripMs: 1.5, usage: { cpuMillicores: 10, memoryBytes: 1n << 30n } }
    const next = (): void => {
      if (ended) return
      sequence++
      send({ case: 'heartbeat', value: { ...value, sequence, wallTimeMs: wallMs() } })
      systemClock.after(intervalMs, next)
    }
    // Each at a time of its own, as devices are.
    systemClock.after((randomBytes(4).readUInt32LE() / 2 ** 32) * intervalMs, next)
  }

  function take({ upsert, stop, version }: AssignmentUpdate): void {
    for (const assignment of upsert) {
      deps.onAssigned(assignment)
      reports.add(runningOf(assignment))
    }
    for (const { replicaId } of stop) reports.add({ replicaId, removed: true })
    send({ case: 'applied', value: { version } })
  }
}

async function enrol(
  meeting: Meeting,
  nodeName: string,
  { keyPem, csrPem }: Identity,
): Promise<{ readonly nodeId: string; readonly credentials: Credentials }> {
  const request = create(EnrollNodeRequestSchema, {
    token: meeting.token,
    nodeName,
    csrPem,
    capacity: room,
    allocatable: room,
    capabilities: { architecture: 'amd64', os: 'linux' },
  })
  const { nodeId, certificate, caCertificate } = await enrollNode(meeting, request)
  return { nodeId, credentials: { keyPem, certificatePem: certificate, caPem: caCertificate } }
}

function helloOf(nodeId: string, name: string) {
  return {
    nodeId,
    agentVersion: 'hollow',
    capacity: room,
    allocatable: room,
    capabilities: { architecture: 'amd64', os: 'linux' },
    bootId: `boot-${name}`,
    instanceId: `instance-${name}`,
    runtimeReady: true,
    wallTimeMs: wallMs(),
  }
}

function runningOf({ replicaId }: Assignment): Observation {
  return {
    replicaId,
    state: ReplicaState.RUNNING,
    ready: true,
    containerId: `cloudless/${replicaId}`,
    address: '10.1.2.3',
    lastExitCode: -1,
    startedAtMs: wallMs(),
  }
}

function wallMs(): bigint {
  return BigInt(systemClock.wallMs())
}

/** Collects observations and sends them together. */
class Reports {
  readonly #send: (message: Outgoing) => void
  readonly #onReported: (count: number) => void
  #waiting: Observation[] = []
  #sequence = 0n

  constructor(send: (message: Outgoing) => void, onReported: (count: number) => void) {
    this.#send = send
    this.#onReported = onReported
  }

  add(observation: Observation): void {
    this.#sequence++
    this.#waiting.push({ ...observation, sequence: this.#sequence })
    if (this.#waiting.length === 1) systemClock.after(reportDelayMs, () => this.#flush())
  }

  #flush(): void {
    const replicas = this.#waiting
    this.#waiting = []
    this.#send({ case: 'replicas', value: { replicas } })
    this.#onReported(replicas.length)
  }
}
