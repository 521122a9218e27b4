/** Writes what the supervisor tells into the agent's metrics and the board of probe health. */
import type { AgentMetrics } from '@cloudless/observability'
import type { ReplicaMetrics } from '../replica/replica-actor.ts'
import type { ProbeHealthBoard } from '../service/probe-health-board.ts'

export function replicaMetrics(metrics: AgentMetrics, board: ProbeHealthBoard): ReplicaMetrics {
  const { containers, probes } = metrics
  return {
    probed(report) {
      const { containerId, kind, passed, passing, failuresInRow, durationMs } = report
      const result = passed ? 'success' : 'failure'
      if (kind === 'liveness') probes.liveness.increment({ result })
      if (kind === 'readiness') probes.readiness.increment({ result })
      probes.durationSeconds.observe({ probe_type: kind, result }, durationMs / 1_000)
      const labels = { container_id: containerId, probe_type: kind }
      probes.healthStatus.set(labels, passing ? 1 : 0)
      probes.consecutiveFailures.set(labels, failuresInRow)
      board.note(report)
    },
    restarted: (reason) => containers.restarts.increment({ reason }),
    restartRefused: () => containers.restartRateLimitHits.increment({}),
    operation(operation, result, durationMs) {
      const verdict = result === 'success' ? 'success' : 'failure'
      containers.operations.increment({ operation, result: verdict })
      containers.operationSeconds.observe({ operation }, durationMs / 1_000)
    },
    forgotten(containerId) {
      metrics.forgetContainer(containerId)
      board.forget(containerId)
    },
  }
}
