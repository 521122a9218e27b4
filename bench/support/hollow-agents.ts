/**
 * A process full of hollow agents: forked with what it needs to join, it enrols them, says when all are there, and answers
 * with what it has seen.
 */
import { systemClock } from '@cloudless/base'
import { startHollowAgent, type Meeting } from './hollow-agent.ts'

export interface HollowOrder extends Meeting {
  readonly firstNode: number
  readonly nodes: number
}

export type ToHollow =
  | { readonly kind: 'join'; readonly order: HollowOrder }
  /** The workload is applied at this moment. */
  | { readonly kind: 'applied'; readonly workload: string; readonly atMs: number }
  | { readonly kind: 'count' }
  | { readonly kind: 'latencies' }

export type FromHollow =
  | { readonly kind: 'joined' }
  | { readonly kind: 'count'; readonly assigned: number; readonly reported: number }
  /** Milliseconds from apply to assigned, of every replica. */
  | { readonly kind: 'latencies'; readonly ms: Float64Array }
  | { readonly kind: 'ended'; readonly reason: string }

/** Enrolled at once; each uses the same join token, which takes them one after another. */
const joiningMax = 4

const appliedAtMs = new Map<string, number>()
const latenciesMs: number[] = []
let reported = 0

process.on('message', (message: ToHollow) => {
  switch (message.kind) {
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
      say({ kind: 'count', assigned: latenciesMs.length, reported })
      break
    case 'latencies':
      say({ kind: 'latencies', ms: Float64Array.from(latenciesMs) })
  }
})
process.on('disconnect', () => process.exit())

async function join(order: HollowOrder): Promise<void> {
  let next = order.firstNode
  const end = order.firstNode + order.nodes
  const worker = async (): Promise<void> => {
    while (next < end) await startHollowAgent(deps, order, `hollow-${next++}`)
  }
  await Promise.all(Array.from({ length: joiningMax }, worker))
}

const deps = {
  onAssigned: ({ workloadName }: { readonly workloadName: string }): void => {
    latenciesMs.push(systemClock.wallMs() - appliedAtMs.get(workloadName)!)
  },
  onReported: (count: number): void => void (reported += count),
  onEnd: (reason: unknown): void => say({ kind: 'ended', reason: String(reason) }),
}

function say(message: FromHollow): void {
  process.send!(message)
}
