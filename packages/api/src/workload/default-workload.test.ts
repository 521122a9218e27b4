import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { equals, fromJson, type JsonObject } from '@bufbuild/protobuf'
import {
  ImagePullPolicy,
  RestartPolicyKind,
  WorkloadSchema,
  WorkloadSpecSchema,
  type WorkloadSpec,
} from '../gen/cloudless/v1/workload_pb.ts'
import { defaultWorkload, defaultWorkloadSpec } from './default-workload.ts'
import { sameTemplate } from './pod-template.ts'
import { validateWorkload } from './validate-workload.ts'

const spec = (json: JsonObject): WorkloadSpec =>
  fromJson(WorkloadSpecSchema, { image: 'nginx:1', ...json })

const full = {
  resources: { limits: { cpuMillicores: 100, memoryBytes: '33554432' } },
  ports: [{ containerPort: 80 }],
  livenessProbe: { http: { port: 80 } },
  placement: {
    affinity: [{ type: 'AFFINITY_TYPE_NODE', matchLabels: { a: 'b' } }],
    topologySpread: [{ topologyKey: 'zone' }],
  },
}

describe('defaults', () => {
  it('are those the contract promises', () => {
    const workload = defaultWorkload(
      fromJson(WorkloadSchema, { name: 'a', spec: { image: 'nginx', ...full } }),
    )
    const filled = workload.spec!
    assert.equal(workload.namespace, 'default')
    assert.equal(filled.resources?.requests?.cpuMillicores, 100)
    assert.equal(filled.resources.requests.memoryBytes, 33_554_432n)
    assert.equal(filled.imagePullPolicy, ImagePullPolicy.ALWAYS)
    assert.equal(filled.terminationGraceMs, 30_000n)
    assert.equal(filled.shutdownDelayMs, 1_000n)
    assert.equal(defaultWorkloadSpec(spec({})).shutdownDelayMs, 0n)
    assert.equal(filled.restartPolicy?.policy, RestartPolicyKind.ALWAYS)
    assert.equal(filled.rollout?.maxSurge, 1)
    assert.equal(filled.rollout.minAvailable, undefined)
    assert.equal(filled.rollout.progressDeadlineMs, 600_000n)
    assert.equal(filled.rollout.autoRollback, true)
    assert.equal(filled.rollout.historyLimit, 10)
    assert.equal(filled.rollout.canary, undefined)
    assert.equal(filled.ports[0]?.protocol, 'TCP')
    assert.equal(filled.livenessProbe?.initialDelayMs, 10_000n)
    assert.equal(filled.livenessProbe.failureThreshold, 3)
    assert.equal(filled.placement?.affinity[0]?.topologyKey, 'node')
    assert.equal(filled.placement.topologySpread[0]?.maxSkew, 1)
    assert.deepEqual(validateWorkload(workload), [])
  })

  it('leave alone what was given, and the message they are made from', () => {
    const given = spec({ livenessProbe: { tcp: { port: 1 }, initialDelayMs: '0', periodMs: '5' } })
    const filled = defaultWorkloadSpec(given)
    assert.equal(filled.livenessProbe?.initialDelayMs, 0n)
    assert.equal(filled.livenessProbe.periodMs, 5n)
    assert.equal(filled.imagePullPolicy, ImagePullPolicy.IF_NOT_PRESENT)
    assert.equal(given.livenessProbe?.failureThreshold, 0)
    assert.equal(given.resources, undefined)
  })

  it('make a tenth of the replicas canaries where nothing else is said', () => {
    const canaryOf = (canary: JsonObject) =>
      defaultWorkloadSpec(
        spec({ rollout: { strategy: 'ROLLOUT_STRATEGY_KIND_CANARY', ...canary } }),
      ).rollout?.canary
    assert.equal(canaryOf({})?.percent, 10)
    assert.equal(canaryOf({ canary: { percent: 30 } })?.percent, 30)
    assert.equal(canaryOf({ canary: { replicas: 2 } })?.percent, 0)
  })

  it('change nothing the second time', () => {
    const once = defaultWorkloadSpec(spec(full))
    assert.ok(equals(WorkloadSpecSchema, once, defaultWorkloadSpec(once)))
  })
})

describe('the template of a spec', () => {
  for (const [property, change, same] of [
    ['does not depend on replicas', { replicas: 9 }, true],
    ['does not depend on the rollout', { rollout: { maxSurge: 5, minAvailable: 2 } }, true],
    ['is the same for the image in full', { image: 'docker.io/library/nginx:1' }, true],
    ['is the same with a default written out', { terminationGraceMs: '30000' }, true],
    ['tells no grace from the usual one', { terminationGraceMs: '0' }, false],
    ['depends on the image', { image: 'nginx:2' }, false],
    ['depends on the environment', { env: { A: 'b' } }, false],
    ['depends on placement', { placement: { zones: ['a'] } }, false],
    ['depends on probes', { livenessProbe: { tcp: { port: 80 } } }, false],
  ] as [string, JsonObject, boolean][]) {
    it(property, () => assert.equal(sameTemplate(spec({}), spec(change)), same))
  }

  it('does not depend on the order of maps', () => {
    const one = spec({ env: { A: '1', B: '2' } })
    assert.ok(sameTemplate(one, spec({ env: { B: '2', A: '1' } })))
  })
})
