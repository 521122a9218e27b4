/** Which phase a node is in, from its record and what is heard of it. Pure; the phases are NodePhase's. */
import { NodePhase, type NodeRecord } from '@cloudless/api'
import type { Liveness } from './liveness.ts'

export interface NodePhaseVerdict {
  readonly phase: NodePhase
  /** For people. */
  readonly message: string
}

export function nodePhase(
  record: NodeRecord,
  liveness: Liveness | undefined,
  runtimeReady: boolean,
): NodePhaseVerdict {
  const before = record.node!.status!.phase
  if (before === NodePhase.ENROLLING && liveness?.kind !== 'connected') {
    return { phase: before, message: 'enrolled; its agent has not connected yet' }
  }
  if (liveness?.kind === 'lost') return { phase: NodePhase.OFFLINE, message: lossMessage(liveness) }
  if (liveness === undefined || liveness.kind === 'absent') {
    return { phase: before, message: record.node!.status!.message }
  }
  if (!runtimeReady) {
    return {
      phase: NodePhase.FAILED,
      message: 'its agent answers, but its container runtime does not: is containerd running?',
    }
  }
  if (record.drainStartedAtMs > 0n) return { phase: NodePhase.DRAINING, message: 'draining' }
  if (record.node!.unschedulable) {
    return { phase: NodePhase.CORDONED, message: 'cordoned: takes no new replicas' }
  }
  return { phase: NodePhase.READY, message: '' }
}

const lossMessages = {
  silence: 'no heartbeat for longer than the limit',
  reset: 'its connection was reset and it did not return',
  goodbye: 'its agent was stopped and did not return in time',
  absence: 'not heard from since the coordinator started',
} as const

function lossMessage(liveness: Extract<Liveness, { kind: 'lost' }>): string {
  return lossMessages[liveness.cause]
}
