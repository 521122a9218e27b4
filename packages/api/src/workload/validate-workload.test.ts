import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { create, fromJson, type JsonObject } from '@bufbuild/protobuf'
import * as fc from 'fast-check'
import { WorkloadSchema, WorkloadSpecSchema } from '../gen/cloudless/v1/workload_pb.ts'
import { errorOfProblems, problemsMax } from './problem.ts'
import { validateWorkload, validateWorkloadSpec } from './validate-workload.ts'

/** Fields of the problems of a workload that is good but for `spec`. */
function fieldsOf(spec: JsonObject): string[] {
  const workload = { name: 'web', spec: { image: 'nginx', replicas: 1, ...spec } }
  return validateWorkload(fromJson(WorkloadSchema, workload)).map((problem) => problem.field)
}

describe('a workload', () => {
  it('is accepted with a name and an image alone', () => {
    assert.deepEqual(fieldsOf({}), [])
  })

  it('has a name, a namespace and labels that fit everywhere', () => {
    const problems = validateWorkload(
      create(WorkloadSchema, {
        name: 'Web',
        namespace: 'a.b',
        labels: { 'a b': 'x', ok: 'no good' },
        annotations: { '/': '' },
      }),
    )
    assert.deepEqual(
      problems.map((problem) => problem.field),
      ['name', 'namespace', 'labels["a b"]', 'labels.ok', 'annotations["/"]', 'spec'],
    )
    assert.match(problems[0]!.message, /lower-case/)
  })

  const probe = { http: { port: 80 } }
  const volume = { name: 'a', source: 'emptyDir', mountPath: '/a' }
  for (const [property, spec, ...fields] of [
    ['needs an image', { image: '' }, 'spec.image'],
    ['needs a well-formed image', { image: 'No/Such:::' }, 'spec.image'],
    ['may have no replicas', { replicas: 0 }],
    ['has no negative replicas', { replicas: -1 }, 'spec.replicas'],
    ['has at most 100000 replicas', { replicas: 100_001 }, 'spec.replicas'],
    ['names variables as shells do', { env: { '1A': '' } }, 'spec.env["1A"]'],
    ['works in an absolute directory', { workingDir: 'app' }, 'spec.workingDir'],
    ['has a bounded priority', { priority: 2_000_000_000 }, 'spec.priority'],
    [
      'has a rollout that can add a replica or stop one',
      { replicas: 3, rollout: { maxSurge: 0, maxUnavailable: 1, minAvailable: 3 } },
      'spec.rollout.minAvailable',
    ],
    [
      'may keep all available when there is a surge',
      { replicas: 3, rollout: { maxSurge: 1, maxUnavailable: 1, minAvailable: 3 } },
    ],
    [
      'may keep all available when it is recreated',
      {
        rollout: { strategy: 'ROLLOUT_STRATEGY_KIND_RECREATE', maxUnavailable: 1, minAvailable: 1 },
      },
    ],
    ['may keep what runs on a node that is away', { onDisconnect: { keep: true } }],
    [
      'is either kept while its node is away or replaced after a time',
      { onDisconnect: { keep: true, replaceAfterMs: '5000' } },
      'spec.onDisconnect.replaceAfterMs',
    ],
    [
      'is replaced and stopped after times that make sense',
      { onDisconnect: { replaceAfterMs: '-1', stopAfterMs: '999' } },
      'spec.onDisconnect.replaceAfterMs',
      'spec.onDisconnect.stopAfterMs',
    ],
    ['knows who stays', { onDisconnect: { onReturn: 'youngest' } }, 'spec.onDisconnect.onReturn'],
    ['may prefer who stays', { onDisconnect: { onReturn: 'longest_running' } }],
    [
      'moves a bounded number, as seldom as is wished',
      { rebalance: { maxMoving: -1, intervalMs: '90000000' } },
      'spec.rebalance.maxMoving',
      'spec.rebalance.intervalMs',
    ],
    [
      'has canaries that are a part of the replicas',
      { rollout: { strategy: 'ROLLOUT_STRATEGY_KIND_CANARY', canary: { percent: 101 } } },
      'spec.rollout.canary.percent',
    ],
    [
      'has canaries only with the strategy for them',
      { rollout: { canary: { replicas: 1 } } },
      'spec.rollout.canary',
    ],
    [
      'may have all of its replicas as canaries',
      {
        rollout: {
          strategy: 'ROLLOUT_STRATEGY_KIND_CANARY',
          canary: { percent: 100, bakeMs: '604800000' },
        },
      },
    ],
    [
      'has a rollout with bounded times and a bounded history',
      {
        rollout: {
          pauseDurationMs: '-1',
          progressDeadlineMs: '86400001',
          minReadyMs: '-1',
          historyLimit: 101,
        },
      },
      'spec.rollout.pauseDurationMs',
      'spec.rollout.progressDeadlineMs',
      'spec.rollout.minReadyMs',
      'spec.rollout.historyLimit',
    ],
    [
      'asks for no negative resources',
      { resources: { requests: { cpuMillicores: -1, memoryBytes: '-5' } } },
      'spec.resources.requests.cpuMillicores',
      'spec.resources.requests.memoryBytes',
    ],
    [
      'asks for at most its limits',
      { resources: { requests: { cpuMillicores: 200 }, limits: { cpuMillicores: 100 } } },
      'spec.resources.requests.cpuMillicores',
    ],
    [
      'has a memory limit in which something can start',
      { resources: { limits: { memoryBytes: '512' } } },
      'spec.resources.limits.memoryBytes',
    ],
    [
      'has a known IOPS class',
      { resources: { requests: { iopsClass: 'fast' } } },
      'spec.resources.requests.iopsClass',
    ],
    [
      'spreads over a known topology',
      { placement: { spreadTopology: 'rack' } },
      'spec.placement.spreadTopology',
    ],
    ['packs in a known way', { placement: { packing: 'tight' } }, 'spec.placement.packing'],
    ['may pack by best fit', { placement: { packing: 'best_fit' } }],
    [
      'spreads over a label, with a skew and a number of places that make sense',
      {
        placement: {
          topologySpread: [
            { topologyKey: 'zone', maxSkew: 1, minDomains: 3, required: true },
            { topologyKey: '', maxSkew: -1 },
            { topologyKey: 'rack', minDomains: 2, matchLabels: { app: 'no good' } },
          ],
        },
      },
      'spec.placement.topologySpread[1].topologyKey',
      'spec.placement.topologySpread[1].maxSkew',
      'spec.placement.topologySpread[2].minDomains',
      'spec.placement.topologySpread[2].matchLabels.app',
    ],
    [
      'weighs the terms of the score with what is not negative',
      { placement: { scoreWeights: { locality: -0.1, cost: 'Infinity', utilization: 1 } } },
      'spec.placement.scoreWeights.locality',
      'spec.placement.scoreWeights.cost',
    ],
    [
      'weighs at least one term',
      { placement: { scoreWeights: { reliability: 0 } } },
      'spec.placement.scoreWeights',
    ],
    ['may weigh one term alone', { placement: { scoreWeights: { reliability: 7 } } }],
    [
      'wishes for features of the network by requiring them',
      {
        placement: {
          nodeSelector: { 'network.feature/ipv6': 'required', 'network.feature/x': '' },
        },
      },
      'spec.placement.nodeSelector["network.feature/x"]',
    ],
    [
      'has affinities of a type, with labels and a weight to 100',
      { placement: { affinity: [{ weight: 101 }] } },
      'spec.placement.affinity[0].type',
      'spec.placement.affinity[0].matchLabels',
      'spec.placement.affinity[0].weight',
    ],
    [
      'gives operators the values they need',
      {
        placement: {
          nodeRequirements: [
            { key: 'a', operator: 'In' },
            { key: 'a', operator: 'Exists', values: ['x'] },
            { key: 'a', operator: 'Gt', values: ['x'] },
            { key: 'a', operator: 'Like' },
          ],
        },
      },
      'spec.placement.nodeRequirements[0].values',
      'spec.placement.nodeRequirements[1].values',
      'spec.placement.nodeRequirements[2].values',
      'spec.placement.nodeRequirements[3].operator',
    ],
    [
      'tolerates what can be there',
      { placement: { tolerations: [{ operator: 'Exists', value: 'x' }, { effect: 'No' }] } },
      'spec.placement.tolerations[0].value',
      'spec.placement.tolerations[1].effect',
      'spec.placement.tolerations[1].key',
    ],
    [
      'has ports in range, each once',
      {
        ports: [
          { name: 'a', containerPort: 80 },
          { name: 'a', containerPort: 80, protocol: 'TCP' },
          { containerPort: 0 },
          { containerPort: 80, protocol: 'UDP' },
          { containerPort: 81, hostPort: 70_000, protocol: 'SCTP' },
        ],
      },
      'spec.ports[2].containerPort',
      'spec.ports[4].hostPort',
      'spec.ports[4].protocol',
      'spec.ports[1]',
      'spec.ports[1]',
    ],
    [
      'mounts absolute paths, each once',
      {
        volumes: [
          volume,
          { ...volume, mountPath: '/a/' },
          { ...volume, name: 'b', mountPath: 'b' },
        ],
        secretVolumes: [{ secretName: 's', mountPath: '/a' }],
      },
      'spec.volumes[2].mountPath',
      'spec.volumes[1]',
      'spec.volumes[1]',
      'spec.secretVolumes[0].mountPath',
    ],
    [
      'has volumes of known sources and options',
      {
        volumes: [
          { name: 'a', source: 'nfs', mountPath: '/a' },
          { name: 'b', source: 'hostPath', mountPath: '/b', options: { path: '../x' } },
          { name: 'c', source: 'emptyDir', mountPath: '/c', options: { sizeBytes: '1Mi' } },
          { name: 'd', source: 'emptyDir', mountPath: '/d', options: { size_bytes: 'big' } },
          { name: 'e', source: 'configMap', mountPath: '/e', options: { 'a/b': '' } },
        ],
      },
      'spec.volumes[0].source',
      'spec.volumes[1].options.path',
      'spec.volumes[2].options.sizeBytes',
      'spec.volumes[3].options.size_bytes',
      'spec.volumes[4].options["a/b"]',
    ],
    ['has probes that probe something', { livenessProbe: {} }, 'spec.livenessProbe'],
    [
      'probes ports in range',
      { readinessProbe: { tcp: {} }, startupProbe: { http: { port: 70_000, path: 'x' } } },
      'spec.startupProbe.http.port',
      'spec.startupProbe.http.path',
      'spec.readinessProbe.tcp.port',
    ],
    [
      'probes at times that exist',
      { livenessProbe: { ...probe, initialDelayMs: '-1', failureThreshold: -1 } },
      'spec.livenessProbe.initialDelayMs',
      'spec.livenessProbe.failureThreshold',
    ],
    [
      'does not ask for root and no root',
      { securityContext: { runAsNonRoot: true, runAsUser: '0' } },
      'spec.securityContext.runAsUser',
    ],
    [
      'writes capabilities without CAP_',
      { securityContext: { capabilitiesAdd: ['CAP_NET_ADMIN', 'NET_ADMIN'] } },
      'spec.securityContext.capabilitiesAdd[0]',
    ],
    [
      'mounts nothing over everything',
      { volumes: [{ name: 'a', source: 'emptyDir', mountPath: '//' }] },
      'spec.volumes[0].mountPath',
    ],
    [
      'asks for at most its limits of memory and GPUs',
      {
        resources: {
          requests: { memoryBytes: '2097152', gpuCount: 2 },
          limits: { memoryBytes: '1048576', gpuCount: 1 },
        },
      },
      'spec.resources.requests.gpuCount',
      'spec.resources.requests.memoryBytes',
    ],
    [
      'has capabilities, classes and kernel settings by their names',
      {
        securityContext: {
          capabilitiesDrop: ['all'],
          runtimeClassName: 'g Visor',
          linux: {
            supplementalGroups: ['-1'],
            sysctls: { somaxconn: '1' },
            apparmorProfile: {},
            seccompProfile: { type: 'SECURITY_PROFILE_TYPE_UNCONFINED', localhostProfile: 'x' },
          },
        },
      },
      'spec.securityContext.capabilitiesDrop[0]',
      'spec.securityContext.runtimeClassName',
      'spec.securityContext.linux.seccompProfile.localhostProfile',
      'spec.securityContext.linux.apparmorProfile.type',
      'spec.securityContext.linux.supplementalGroups[0]',
      'spec.securityContext.linux.sysctls.somaxconn',
    ],
    [
      'sends headers that are headers',
      { livenessProbe: { http: { port: 1, headers: [{ name: 'a b', value: 'x\ny' }] } } },
      'spec.livenessProbe.http.headers[0].name',
      'spec.livenessProbe.http.headers[0].value',
    ],
    [
      'names its local profile',
      {
        securityContext: {
          linux: { seccompProfile: { type: 'SECURITY_PROFILE_TYPE_LOCALHOST' } },
        },
      },
      'spec.securityContext.linux.seccompProfile.localhostProfile',
    ],
    [
      'names its secrets',
      { secretEnv: [{ keyToEnv: { a: '1' } }] },
      'spec.secretEnv[0].secretName',
      'spec.secretEnv[0].keyToEnv.a',
    ],
    ['fits into a record', { args: ['x'.repeat(600_000)] }, 'spec'],
  ] as [string, JsonObject, ...string[]][]) {
    it(property, () => assert.deepEqual(fieldsOf(spec), fields))
  }

  it('suggests the option that was meant', () => {
    const spec = fromJson(WorkloadSpecSchema, {
      image: 'nginx',
      volumes: [{ ...volume, options: { sizeBytes: '1' } }],
    })
    assert.match(validateWorkloadSpec(spec)[0]!.message, /did you mean "size_bytes"/)
  })

  it('is refused with every problem on a line and the first field as a fact', () => {
    const problems = validateWorkload(create(WorkloadSchema, { name: 'A' }))
    const error = errorOfProblems('create workload A', problems)
    assert.equal(error.code, 'invalid_argument')
    assert.deepEqual(error.details, { field: 'name', problems: 2 })
    assert.match(error.message, /^create workload A: \n {2}name must .*\n {2}spec must be given$/)
  })

  it('reports a bounded number of problems', () => {
    const ports = Array.from({ length: 1_000 }, () => ({ containerPort: 0 }))
    assert.equal(fieldsOf({ ports }).length, problemsMax)
  })

  it('is judged whatever it holds', () => {
    const text = fc.string({ maxLength: 20 })
    const number = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
    const spec = fc.record({
      image: text,
      replicas: number,
      env: fc.dictionary(text, text, { noNullPrototype: true }),
      volumes: fc.array(fc.record({ name: text, source: text, mountPath: text })),
      ports: fc.array(fc.record({ containerPort: number, hostPort: number, protocol: text })),
      placement: fc.record({
        tolerations: fc.array(fc.record({ key: text, operator: text, value: text, effect: text })),
      }),
    })
    fc.assert(
      fc.property(spec, (raw) => {
        validateWorkloadSpec(create(WorkloadSpecSchema, raw))
      }),
    )
  })
})
