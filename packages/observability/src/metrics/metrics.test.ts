import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '@cloudless/base'
import { createAgentMetrics } from './agent-metrics.ts'
import { createCoordinatorMetrics } from './coordinator-metrics.ts'
import { exponentialBuckets, MetricsRegistry } from './registry.ts'

const coordinatorNames = `
  scheduling_decisions_total scheduling_duration_seconds placement_score rescheduling_operations_total
  scheduler_reschedule_latency_seconds scheduler_reschedule_failures_total
  scheduling_preemptions_total scheduling_queue_depth
  nodes_by_state membership_held_nodes node_reliability_score node_resource_capacity node_resource_usage
  node_fragment_utilization node_heartbeat_latency_seconds node_enrollments_total
  membership_join_convergence_seconds membership_leave_convergence_seconds membership_node_recovery_seconds
  workloads_by_phase workload_replicas_desired workload_replicas_ready workload_replica_restarts_total
  workload_health_check_failures_total workload_creation_duration_seconds workload_scale_operations_total
  running_containers_total coordinator_leader_elections_total coordinator_is_leader
  metadata_operations_total metadata_operation_duration_seconds system_info uptime_seconds
  grpc_requests_total grpc_request_duration_seconds
  grpc_stream_messages_received_total grpc_stream_messages_sent_total`
const agentNames = `
  container_operations_total container_operation_duration_seconds running_containers_total
  agent_liveness_probes_total agent_readiness_probes_total agent_container_restarts_total
  agent_probe_duration_seconds agent_container_health_status agent_probe_consecutive_failures
  agent_restart_rate_limit_hits_total system_info uptime_seconds
  grpc_requests_total grpc_request_duration_seconds`

describe('the published metrics', () => {
  const cases = [
    {
      who: 'a coordinator',
      metrics: createCoordinatorMetrics({ clock: systemClock }),
      names: coordinatorNames,
    },
    { who: 'an agent', metrics: createAgentMetrics({ clock: systemClock }), names: agentNames },
  ]
  for (const { who, metrics, names } of cases) {
    it(`of ${who} have the names operators build on`, async () => {
      const { body, contentType } = await metrics.expose()
      assert.match(contentType, /text\/plain/)
      for (const name of names.trim().split(/\s+/)) {
        assert.match(body, new RegExp(`^# TYPE cloudless_${name} `, 'm'), name)
      }
    })
  }

  it('move when they are written to', async () => {
    const metrics = createCoordinatorMetrics({ clock: systemClock })
    metrics.scheduling.decisions.increment({ result: 'no_nodes' }, 2)
    metrics.membership.resourceUsage.set({ node_id: 'a', resource: 'cpu' }, 1.5)
    metrics.scheduling.durationSeconds.observe({ phase: 'bind' }, 0.004)
    const { body } = await metrics.expose()
    assert.match(body, /scheduling_decisions_total\{result="no_nodes"\} 2/)
    assert.match(body, /node_resource_usage\{node_id="a",resource="cpu"\} 1.5/)
    assert.match(body, /scheduling_duration_seconds_bucket\{le="0.005",phase="bind"\} 1/)
  })

  it('forget a node, a workload and a container with the thing itself', async () => {
    const coordinator = createCoordinatorMetrics({ clock: systemClock })
    for (const id of ['gone', 'stays']) {
      coordinator.scheduling.placementScore.observe({ node_id: id }, 50)
      coordinator.workloads.replicasReady.set({ workload_id: id, namespace: 'default' }, 1)
    }
    coordinator.forgetNode('gone')
    coordinator.forgetWorkload('gone')
    const agent = createAgentMetrics({ clock: systemClock })
    agent.probes.healthStatus.set({ container_id: 'gone', probe_type: 'liveness' }, 1)
    agent.forgetContainer('gone')
    const text = (await coordinator.expose()).body + (await agent.expose()).body
    assert.doesNotMatch(text, /gone/)
    assert.equal(text.match(/"stays"/g)?.length, 1 + 12 + 2)
  })
})

describe('a registry of metrics', () => {
  it('replaces the series of a gauge by those that are listed', async () => {
    const registry = new MetricsRegistry()
    const gauge = registry.gauge<{ phase: string }>({ name: 'x', help: 'x', labels: ['phase'] })
    gauge.replace([
      [{ phase: 'a' }, 1],
      [{ phase: 'b' }, 2],
    ])
    gauge.replace([[{ phase: 'b' }, 3]])
    const { body } = await registry.expose()
    assert.match(body, /x\{phase="b"\} 3/)
    assert.doesNotMatch(body, /phase="a"/)
  })

  it('makes no more series than its limit, and counts those it refused', async () => {
    const registry = new MetricsRegistry()
    const counter = registry.counter<{ id: string }>({ name: 'x_total', help: 'x', labels: ['id'] })
    for (let n = 0; n < 20_005; n++) counter.increment({ id: String(n) })
    assert.match((await registry.expose()).body, /cloudless_metrics_series_refused_total 5/)
  })

  it('refreshes what is read rather than counted before it is shown', async () => {
    const registry = new MetricsRegistry()
    const gauge = registry.gauge({ name: 'now', help: 'x', labels: [] })
    registry.beforeExpose(() => gauge.set({}, 42))
    assert.match((await registry.expose()).body, /cloudless_now 42/)
  })

  it('makes buckets that grow by a factor', () => {
    assert.deepEqual(exponentialBuckets(0.001, 2, 4), [0.001, 0.002, 0.004, 0.008])
  })
})
