/**
 * A process full of hollow agents: forked with what it needs to join, it enrols them, says when all are there, and answers
 * with what it has seen.
 */
import { systemClock } from '@cloudless/base'
import { createIdentity, startHollowAgent, type Identity, type Meeting } from './hollow-agent.ts'

export interface HollowOrder extends Meeting {
  readonly firstNode: number
  readonly nodes: number
  /** Enrolled at once; 4 when not given. */
  readonly joiningMax?: number
  /** Sessions that end are begun anew and counted; otherwise the first that ends is told and ends the bench. */
  readonly redial?: boolean
}

export type ToHollow =
  /** Makes the keys of so many agents that are to join later. */
  | { readonly kind: 'prepare'; readonly nodes: number }
  | { readonly kind: 'join'; readonly order: HollowOrder }
  /** The workload is applied at this moment. */
  | { readonly kind: 'applied'; readonly workload: string; readonly atMs: number }
  | { readonly kind: 'count' }
  | { readonly kind: 'latencies' }

export type FromHollow =
  | { readonly kind: 'prepared' }
  | { readonly kind: 'joined' }
  | {
      readonly kind: 'count'
      readonly assigned: number
      readonly reported: number
      readonly redials: number
    }
  /** Milliseconds from apply to assigned, of every replica. */
  | { readonly kind: 'latencies'; readonly ms: Float64Array }
  | { readonly kind: 'ended'; readonly reason: string }

const joiningMaxDefault = 4

const identities: Identity[] = []
const appliedAtMs = new Map<string, number>()
const latenciesMs: number[] = []
let reported = 0
let redials = 0
let mayRedial = false

process.on('message', (message: ToHollow) => {
  switch (message.kind) {
    case 'prepare':
      prepare(message.nodes).then(
        () => say({ kind: 'prepared' }),
        (reason: unknown) => say({ kind: 'ended', reason: String(reason) }),
      )
      break
    case 'join':
      join(message.order).then(
        () => say({ kind: 'joined' }),
        (reason: unknown) => say({ kind: 'ended', reason: String(reason) }),
      )
      break
    case 'applied':
      appliedAtMs.set(message.workload, message.atMs)
      break
    case 'count':
      say({ kind: 'count', assigned: latenciesMs.length, reported, redials })
      break
    case 'latencies':
      say({ kind: 'latencies', ms: Float64Array.from(latenciesMs) })
  }
})
process.on('disconnect', () => process.exit())

async function prepare(nodes: number): Promise<void> {
  for (let n = 0; n < nodes; n++) identities.push(await createIdentity())
}

async function join(order: HollowOrder): Promise<void> {
  mayRedial = order.redial === true
  let next = order.firstNode
  const end = order.firstNode + order.nodes
  const worker = async (): Promise<void> => {
    while (next < end) {
      await startHollowAgent(deps, order, `hollow-${next++}`, identities.pop())
    }
  }
  await Promise.all(Array.from({ length: order.joiningMax ?? joiningMaxDefault }, worker))
}

const deps = {
  onAssigned: ({ workloadName }: { readonly workloadName: string }): void => {
    latenciesMs.push(systemClock.wallMs() - appliedAtMs.get(workloadName)!)
  },
  onReported: (count: number): void => void (reported += count),
  onEnd: (reason: unknown): boolean => {
    if (mayRedial) redials++
    else say({ kind: 'ended', reason: String(reason) })
    return mayRedial
  },
}

function say(message: FromHollow): void {
  process.send!(message)
}
