import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fromJson, type JsonObject } from '@bufbuild/protobuf'
import { WorkloadSpecSchema, type WorkloadSpec } from '../gen/cloudless/v1/workload_pb.ts'
import { defaultWorkloadSpec } from './default-workload.ts'
import { sameTemplate } from './pod-template.ts'
import { validateWorkloadSpec } from './validate-workload.ts'

const cpu = { type: 'cpu', targetPercent: 80 }
const queue = { type: 'custom', name: 'queue_length', targetValue: 30 }
const endpoint = { port: 9000, names: ['queue_length', 'http_requests_total'] }

/** Of a service that asks for CPU and memory and tells figures of its own. */
function specWith(autoscaling: JsonObject, rest: JsonObject = {}): WorkloadSpec {
  return fromJson(WorkloadSpecSchema, {
    image: 'nginx:1',
    resources: { requests: { cpuMillicores: 100, memoryBytes: '1000000' } },
    metrics: endpoint,
    autoscaling: { minReplicas: 2, maxReplicas: 10, metrics: [cpu], ...autoscaling },
    ...rest,
  })
}

describe('autoscaling', () => {
  for (const [property, spec, ...problems] of [
    ['follows CPU', specWith({})],
    ['follows memory', specWith({ metrics: [{ type: 'memory', targetPercent: 1000 }] })],
    ['follows a figure of its own', specWith({ metrics: [queue] })],
    ['follows several', specWith({ metrics: [cpu, queue] })],
    ['may begin at 1 without saying so', specWith({ minReplicas: 0 })],
    ['may keep one number', specWith({ minReplicas: 3, maxReplicas: 3 })],
    ['measures against a limit too', specWith({}, { resources: { limits: { cpuMillicores: 9 } } })],
    [
      'needs an upper limit',
      specWith({ maxReplicas: 0 }),
      'autoscaling.maxReplicas must be from 1 to 100000, not 0',
    ],
    [
      'has limits in order',
      specWith({ minReplicas: 5, maxReplicas: 4 }),
      'autoscaling.maxReplicas must be at least min_replicas: 4 < 5',
    ],
    [
      'needs a metric',
      specWith({ metrics: [] }),
      'autoscaling.metrics must have at least one element',
    ],
    [
      'names each metric once',
      specWith({ metrics: [cpu, queue, cpu] }),
      'autoscaling.metrics[2] repeats the metric "cpu"',
    ],
    [
      'knows three types',
      specWith({ metrics: [{ type: 'disk', targetPercent: 80 }] }),
      'autoscaling.metrics[0].type must be "cpu" or "memory" or "custom", not "disk"',
    ],
    [
      'has a target above 0 %',
      specWith({ metrics: [{ type: 'cpu' }] }),
      'autoscaling.metrics[0].targetPercent must be from 1 to 1000, not 0',
    ],
    [
      'has a target of at most 1000 %',
      specWith({ metrics: [{ type: 'cpu', targetPercent: 1001 }] }),
      'autoscaling.metrics[0].targetPercent must be from 1 to 1000, not 1001',
    ],
    [
      'needs a request of CPU to measure it against',
      specWith({}, { resources: { requests: { memoryBytes: '5' } } }),
      'autoscaling.metrics[0] needs a request of cpu to measure against: set spec.resources.requests.cpu',
    ],
    [
      'needs a request of memory to measure it against',
      specWith({ metrics: [{ type: 'memory', targetPercent: 80 }] }, { resources: {} }),
      'autoscaling.metrics[0] needs a request of memory to measure against: set spec.resources.requests.memory',
    ],
    [
      'follows only figures that are taken',
      specWith({ metrics: [{ ...queue, name: 'other' }] }),
      'autoscaling.metrics[0].name must be one of spec.metrics.names, not "other"',
    ],
    [
      'holds a value above 0',
      specWith({ metrics: [{ ...queue, targetValue: 'Infinity' }] }),
      'autoscaling.metrics[0].targetValue must be a number above 0, not Infinity',
    ],
    [
      'looks back an hour at most',
      specWith({ scaleUpStabilizationMs: '3600001' }),
      'autoscaling.scaleUpStabilizationMs must be from 0 to 3600000, not 3600001',
    ],
    [
      'is for services',
      specWith({}, { type: 'WORKLOAD_TYPE_DAEMON' }),
      'autoscaling is only for services: a workload of another type counts its replicas in its own way',
    ],
    [
      'can be rolled out at its fewest replicas',
      specWith({}, { replicas: 9, rollout: { maxUnavailable: 1, minAvailable: 2 } }),
      'rollout.minAvailable must be below the 2 replicas when max_surge is 0: an update could neither ' +
        'add a replica nor stop one; raise max_surge to 1 or lower this',
    ],
    ['may keep its most available', specWith({}, { rollout: { minAvailable: 10 } })],
    [
      'cannot keep more available than there may be',
      specWith({}, { rollout: { minAvailable: 11 } }),
      'rollout.minAvailable must be at most autoscaling.max_replicas: 11 > 10',
    ],
  ] as [string, WorkloadSpec, ...string[]][]) {
    it(property, () => assert.deepEqual(problemsOf(spec), problems))
  }

  it('begins within its limits, and has the defaults of the contract', () => {
    const filled = (replicas: number) =>
      defaultWorkloadSpec(specWith({ minReplicas: 2 }, { replicas }))
    assert.deepEqual(
      [0, 1, 2, 7, 10, 50].map((replicas) => filled(replicas).replicas),
      [2, 2, 2, 7, 10, 10],
    )
    const available = { replicas: 3, rollout: { minAvailable: 5 } }
    assert.equal(defaultWorkloadSpec(specWith({}, available)).replicas, 5)
    const { autoscaling, metrics } = defaultWorkloadSpec(specWith({ minReplicas: 0 }))
    assert.equal(autoscaling!.minReplicas, 1)
    assert.equal(autoscaling!.scaleUpStabilizationMs, 0n)
    assert.equal(autoscaling!.scaleDownStabilizationMs, 300_000n)
    assert.equal(metrics!.path, '/metrics')
  })

  it('is no part of what a replica is made from, where figures are taken is', () => {
    const spec = specWith({})
    assert.ok(sameTemplate(spec, specWith({ maxReplicas: 20 })))
    assert.ok(!sameTemplate(spec, specWith({}, { metrics: { ...endpoint, port: 9001 } })))
  })
})

describe('the place where figures are taken', () => {
  const nine = Array.from({ length: 9 }, (_, n) => `n${n}`)
  for (const [property, metrics, ...problems] of [
    ['has a port and names', {}],
    ['takes names with colons', { names: ['job:requests:rate5m', '_a'] }],
    ['has a port', { port: 0 }, 'metrics.port must be from 1 to 65535, not 0'],
    ['has names', { names: [] }, 'metrics.names must have from 1 to 8 elements, not 0'],
    ['has at most 8', { names: nine }, 'metrics.names must have from 1 to 8 elements, not 9'],
    ['has each name once', { names: ['a', 'a'] }, 'metrics.names[1] repeats the name "a"'],
    [
      "keeps to Prometheus' grammar",
      { names: ['a-b', '1a', ''] },
      ...['a-b', '1a', ''].map(
        (name, n) =>
          `metrics.names[${n}] must be a metric's name such as "http_requests_total", not "${name}"`,
      ),
    ],
    [
      'has a path that cannot break a request',
      { path: '/a b\r\nX: y' },
      'metrics.path must begin with "/" and hold no spaces, not "/a b\\r\\nX: y"',
    ],
    [
      'has an absolute path',
      { path: 'metrics' },
      'metrics.path must begin with "/" and hold no spaces, not "metrics"',
    ],
  ] as [string, JsonObject, ...string[]][]) {
    it(property, () => {
      const spec = { image: 'nginx:1', metrics: { ...endpoint, ...metrics } }
      assert.deepEqual(problemsOf(fromJson(WorkloadSpecSchema, spec)), problems)
    })
  }
})

function problemsOf(spec: WorkloadSpec): string[] {
  return validateWorkloadSpec(spec).map(({ field, message }) => `${field} ${message}`)
}
