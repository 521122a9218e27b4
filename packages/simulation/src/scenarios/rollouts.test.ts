/** Rollouts in which something else goes wrong. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { create } from '@bufbuild/protobuf'
import {
  ExecCheckSchema,
  HealthCheckSchema,
  RestartWorkloadRequestSchema,
  RolloutStrategyKind,
  RolloutStrategySchema,
} from '@cloudless/api'
import { imageOf } from '../container-behaviour.ts'
import { Scenario } from './scenario.ts'

const nodes = ['a', 'b', 'c', 'd'].map((name) => ({ name }))
const minuteMs = 60_000

describe('a rollout', () => {
  it('makes up for an old replica that is lost while a restart waits for its switch', async () => {
    const scenario = await Scenario.begin(nodes)
    const check = { case: 'exec', value: create(ExecCheckSchema, { command: ['ready'] }) } as const
    await scenario.apply({
      name: 'web',
      spec: {
        image: imageOf('slow', 1),
        replicas: 4,
        readinessProbe: create(HealthCheckSchema, { check, initialDelayMs: 60_000n }),
        rollout: create(RolloutStrategySchema, { strategy: RolloutStrategyKind.BLUE_GREEN }),
      },
    })
    await scenario.converge(3 * minuteMs)
    const request = create(RestartWorkloadRequestSchema, { workloadId: 'web' })
    await scenario.do(scenario.coordinator.workloads.restartWorkload(request))
    await scenario.pass(5_000)
    scenario.node('b').powerOff()
    const before = scenario.countSaid('replicaCreated')
    await scenario.pass(30_000)
    const made = scenario.countSaid('replicaCreated') - before
    assert.equal(made, 2, 'one for the old replica and one for the new one')
    scenario.node('b').powerOn()
    await scenario.converge(10 * minuteMs)
  })
})
