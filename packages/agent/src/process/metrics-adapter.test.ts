import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '@cloudless/base'
import { createAgentMetrics } from '@cloudless/observability'
import { ProbeHealthBoard } from '../service/probe-health-board.ts'
import { replicaMetrics } from './metrics-adapter.ts'

function create() {
  const metrics = createAgentMetrics({ clock: systemClock })
  const board = new ProbeHealthBoard(systemClock)
  const valueOf = async (series: string): Promise<number | undefined> => {
    const { body } = await metrics.expose()
    const line = body.split('\n').find((text) => text.startsWith(`cloudless_${series} `))
    return line === undefined ? undefined : Number(line.split(' ').at(-1))
  }
  return { adapter: replicaMetrics(metrics, board), board, valueOf }
}

const failing = {
  containerId: 'web-1',
  passed: false,
  passing: false,
  failuresInRow: 2,
  durationMs: 30,
} as const

describe("the agent's figures", () => {
  it('count probes by kind and result, and show health and failures in a row', async () => {
    const { adapter, board, valueOf } = create()
    adapter.probed({ ...failing, kind: 'liveness' })
    adapter.probed({
      ...failing,
      kind: 'readiness',
      passed: true,
      passing: true,
      failuresInRow: 0,
    })
    adapter.probed({ ...failing, containerId: 'web-2', kind: 'startup' })
    assert.equal(await valueOf('agent_liveness_probes_total{result="failure"}'), 1)
    assert.equal(await valueOf('agent_readiness_probes_total{result="success"}'), 1)
    const labels = (kind: string) => `{container_id="web-1",probe_type="${kind}"}`
    assert.equal(await valueOf(`agent_container_health_status${labels('liveness')}`), 0)
    assert.equal(await valueOf(`agent_container_health_status${labels('readiness')}`), 1)
    assert.equal(await valueOf(`agent_probe_consecutive_failures${labels('liveness')}`), 2)
    assert.equal(
      await valueOf('agent_probe_consecutive_failures{container_id="web-2",probe_type="startup"}'),
      2,
    )
    const durations = 'agent_probe_duration_seconds_count{probe_type="liveness",result="failure"}'
    assert.equal(await valueOf(durations), 1)
    const [[containerId, health] = assert.fail()] = board.entries()
    assert.equal(containerId, 'web-1')
    assert.deepEqual([health.livenessHealthy, health.livenessFailures], [false, 2])
  })

  it('count restarts by cause, and those that were put off', async () => {
    const { adapter, valueOf } = create()
    for (const cause of ['liveness_failure', 'manual', 'policy'] as const) {
      adapter.restarted(cause)
      assert.equal(await valueOf(`agent_container_restarts_total{reason="${cause}"}`), 1)
    }
    adapter.restartRefused()
    assert.equal(await valueOf('agent_restart_rate_limit_hits_total'), 1)
  })

  it('count operations on containers and how long they took, with every refusal as a failure', async () => {
    const { adapter, valueOf } = create()
    adapter.operation('pull', 'success', 100)
    adapter.operation('start', 'resource_exhausted', 50)
    adapter.operation('stop', 'success', 10)
    adapter.operation('remove', 'success', 10)
    const total = (operation: string, result: string) =>
      valueOf(`container_operations_total{operation="${operation}",result="${result}"}`)
    assert.equal(await total('pull', 'success'), 1)
    assert.equal(await total('start', 'failure'), 1)
    assert.equal(await total('stop', 'success'), 1)
    assert.equal(await total('remove', 'success'), 1)
    const sum = 'container_operation_duration_seconds_sum{operation="pull"}'
    assert.equal(await valueOf(sum), 0.1)
  })

  it('forget a container that is gone, and keep what was counted', async () => {
    const { adapter, board, valueOf } = create()
    adapter.probed({ ...failing, kind: 'liveness' })
    adapter.forgotten('web-1')
    const labels = '{container_id="web-1",probe_type="liveness"}'
    assert.equal(await valueOf(`agent_container_health_status${labels}`), undefined)
    assert.equal(await valueOf('agent_liveness_probes_total{result="failure"}'), 1)
    assert.equal(board.entries().length, 0)
  })
})
