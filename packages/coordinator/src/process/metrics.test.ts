/** Every figure that a coordinator publishes moves when what it counts happens. The whole coordinator, a real store. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { ReplicaState } from '@cloudless/api'
import { sleep, systemClock } from '@cloudless/base'
import { credentialsFor, fetchPath } from '../server/testing.ts'
import { eventually } from '../testing/cluster.ts'
import { runCoordinatorHere, type RunningCoordinator } from '../testing/running-coordinator.ts'
import { joinCluster } from '../testing/talking-agent.ts'

const small = { requests: { cpuMillicores: 100, memoryBytes: 16n << 20n } }

function sumOf(figures: Map<string, number>, pattern: RegExp): number {
  let sum = 0
  for (const [name, value] of figures) if (pattern.test(name)) sum += value
  return sum
}

/** Waits until the figures that match add up to at least `least`. */
async function reaches(coordinator: RunningCoordinator, pattern: RegExp, least = 1): Promise<void> {
  const endMs = systemClock.monotonicMs() + 8_000
  for (;;) {
    const figures = await coordinator.figures()
    const sum = sumOf(figures, pattern)
    if (sum >= least) return
    if (systemClock.monotonicMs() > endMs) {
      const near = [...figures].filter(([name]) => name.startsWith(pattern.source.slice(1, 12)))
      assert.fail(`${pattern} is ${sum}, not ${least}: ${JSON.stringify(near)}`)
    }
    await sleep(systemClock, 30)
  }
}

async function start(t: TestContext, flags: readonly string[] = []) {
  const coordinator = await runCoordinatorHere(t, { flags })
  const create = (name: string, replicas: number, spec: object = {}) =>
    coordinator.client.createWorkload({
      workload: { name, spec: { image: 'web', replicas, resources: small, ...spec } },
    })
  return { coordinator, create, until: reaches.bind(undefined, coordinator) }
}

test('figures of a coordinator that has just started say what runs', async (t) => {
  const { coordinator } = await start(t)
  const figures = await coordinator.figures()
  const info = [...figures.keys()].find((name) => name.startsWith('system_info{'))
  assert.match(info ?? '', /version="\d+\.\d+\.\d+".*git_commit="\w+"/)
  assert.equal(figures.get('coordinator_is_leader'), 1)
  assert.equal(figures.get('coordinator_leader_elections_total{result="won"}'), 1)
  assert.ok(figures.get('uptime_seconds{component="coordinator"}')! > 0)
  assert.ok(figures.get('metadata_revision')! > 0)
  assert.ok(figures.get('metadata_size_bytes')! > 0)
  assert.ok(sumOf(figures, /^metadata_operations_total.*"transact",result="success"/) > 0)
  assert.ok(sumOf(figures, /^metadata_operation_duration_seconds_count.*"transact"/) > 0)
})

test('membership and the life of a workload move their figures', async (t) => {
  const { coordinator, create, until } = await start(t)
  const { client } = coordinator
  await assert.rejects(client.enrollNode({ token: 'none', nodeName: 'thief', csrPem: 'x' }))
  await until(/^node_enrollments_total\{result="failure"/)
  const agent = await joinCluster(t, coordinator, 'one')
  await until(/^node_enrollments_total\{result="success"/)
  await until(/^nodes_by_state\{state="READY"\}/)
  await until(/^membership_join_convergence_seconds_count/)
  await until(/^node_heartbeat_latency_seconds_count/)
  await until(/^node_reliability_score\{/, 0.1)
  await until(/^node_resource_capacity\{.*resource="cpu"/, 4)
  await until(/^node_resource_usage\{.*resource="memory"/)

  await create('web', 2)
  await eventually(() => agent.assignments.size === 2)
  await until(/^scheduling_decisions_total\{result="success"/, 2)
  for (const phase of ['filter', 'score', 'bind']) {
    await until(new RegExp(`^scheduling_duration_seconds_count\\{phase="${phase}"`))
  }
  await until(/^placement_score_count\{/, 2)
  await until(/^workload_replicas_desired\{/, 2)
  await until(/^node_fragment_utilization\{/, 0.04)
  for (const id of agent.assignments.keys()) agent.observe(id)
  await until(/^workload_replicas_ready\{/, 2)
  await until(/^workload_creation_duration_seconds_count/)
  await until(/^workloads_by_phase\{phase="RUNNING",namespace="default"\}/)
  await until(/^running_containers_total\{/, 2)

  const [id] = agent.assignments.keys()
  agent.observe(id!, { restartCount: 1, reason: 'OOMKilled' })
  await until(/^workload_replica_restarts_total\{.*reason="OOMKilled"/)
  agent.observe(id!, {
    restartCount: 1,
    ready: false,
    reason: 'ProbeFailed',
    message: 'readiness: connection refused',
  })
  await until(/^workload_health_check_failures_total\{.*probe_type="readiness"/)
  await client.scaleWorkload({ workloadId: 'web', replicas: 3 })
  await until(/^workload_scale_operations_total\{direction="up"/)
  await client.scaleWorkload({ workloadId: 'web', replicas: 1 })
  await until(/^workload_scale_operations_total\{direction="down"/)

  await create('big', 1, { resources: { requests: { cpuMillicores: 64_000 } } })
  await until(/^scheduling_decisions_total\{result="failure"/)
  await until(/^scheduling_queue_depth/, 1)
})

test('with no node at all, decisions say so', async (t) => {
  const { create, until } = await start(t)
  await create('web', 1)
  await until(/^scheduling_decisions_total\{result="no_nodes"/)
})

test('the loss of a node, the replacement and the return move their figures', async (t) => {
  const { coordinator, create, until } = await start(t, ['--membership-reset-grace', '50ms'])
  const lost = await joinCluster(t, coordinator, 'lost')
  await create('web', 1, { restartPolicy: {} })
  await eventually(() => lost.assignments.size === 1)
  for (const id of lost.assignments.keys()) lost.observe(id)
  await until(/^workload_replicas_ready\{/)
  lost.cut()
  await until(/^membership_leave_convergence_seconds_count/)
  await until(/^nodes_by_state\{state="OFFLINE"\}/)
  await until(/^scheduler_reschedule_failures_total\{reason="insufficient_capacity"/)
  const other = await joinCluster(t, coordinator, 'other')
  await eventually(() => other.assignments.size === 1)
  await until(/^rescheduling_operations_total\{reason="node_lost"/)
  await until(/^scheduler_reschedule_latency_seconds_count/)
  await joinCluster(t, coordinator, 'lost', lost)
  await until(/^membership_node_recovery_seconds_count/)
})

test('calls and the messages of streams are counted by method and status', async (t) => {
  const { coordinator, until } = await start(t)
  const agent = await joinCluster(t, coordinator, 'one')
  await assert.rejects(coordinator.client.getNode({ nodeId: 'none' }))
  const method = (name: string): string => `method="cloudless.api.v1.CoordinatorService/${name}"`
  await until(new RegExp(`^grpc_requests_total\\{${method('GetNode')},code="NOT_FOUND"`))
  await until(new RegExp(`^grpc_requests_total\\{${method('EnrollNode')},code="OK"`))
  await until(new RegExp(`^grpc_request_duration_seconds_count\\{${method('GetNode')}`))
  await until(new RegExp(`^grpc_stream_messages_received_total\\{${method('Session')}`), 2)
  await until(new RegExp(`^grpc_stream_messages_sent_total\\{${method('Session')}`), 2)
  agent.cut()
  await until(new RegExp(`^grpc_requests_total\\{${method('Session')},code="(OK|CANCELLED)"`))
})

test('figures of what is gone are gone', async (t) => {
  const { coordinator, create, until } = await start(t, ['--membership-reset-grace', '50ms'])
  const agent = await joinCluster(t, coordinator, 'one')
  await create('web', 1)
  await eventually(() => agent.assignments.size === 1)
  const [id] = agent.assignments.keys()
  agent.observe(id!)
  await until(/^workload_replicas_ready\{/)
  await coordinator.client.deleteWorkload({ workloadId: 'web' })
  await eventually(() => agent.assignments.size === 0)
  agent.observe(id!, { removed: true, ready: false, state: ReplicaState.STOPPED })
  const gone = async (pattern: RegExp): Promise<void> => {
    const endMs = systemClock.monotonicMs() + 5_000
    while ([...(await coordinator.figures()).keys()].some((name) => pattern.test(name))) {
      assert.ok(systemClock.monotonicMs() < endMs, `${pattern} is still there`)
      await sleep(systemClock, 30)
    }
  }
  await gone(/workload_id="/)
  await coordinator.client.removeNode({ nodeId: 'one', force: true })
  await gone(/node_id="/)
})

test('profiles are for operators, and only where they are switched on', async (t) => {
  const off = await runCoordinatorHere(t)
  const credentials = off.operator
  assert.equal((await fetchPath(off, '/debug/profile/cpu', { credentials })).status, 404)
  const on = await runCoordinatorHere(t, { flags: ['--profiling-enabled'] })
  assert.equal((await fetchPath(on, '/debug/profile/cpu')).status, 401)
  const node = await credentialsFor(on.ca, 'node', 'node-a')
  const refused = await fetchPath(on, '/debug/profile/heap', { credentials: node })
  assert.ok([401, 403].includes(refused.status))
  const take = (path: string) => fetchPath(on, path, { credentials: on.operator })
  assert.match((await take('/debug/profile/cpu?seconds=0.05')).text, /"nodes":\[/)
  assert.match((await take('/debug/profile/heap?seconds=0.05')).text, /"head":\{/)
  assert.equal((await take('/debug/profile/cpu?seconds=many')).status, 400)
  const both = ['cpu', 'heap'].map((kind) => take(`/debug/profile/${kind}?seconds=0.3`))
  assert.deepEqual((await Promise.all(both)).map(({ status }) => status).toSorted(), [200, 409])
})
