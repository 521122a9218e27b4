import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clone } from '@bufbuild/protobuf'
import { AffinityType, ReplicaRecordSchema, type ReplicaRecord } from '@cloudless/api'
import type { ReplicaKind } from '@cloudless/scheduler'
import { replicaRecord, workloadRecord } from '../testing/records.ts'
import { schedulerDefaults } from '../testing/scheduling.ts'
import { ReplicaKinds } from './replica-kinds.ts'
import type { SchedulerSettings } from './scheduler-configuration.ts'

const arm = ['linux/arm64']
const none: readonly string[] = []

function kindsWith(
  settings: () => SchedulerSettings = () => schedulerDefaults,
  annotations: Record<string, string> = {},
): ReplicaKinds {
  return new ReplicaKinds({
    settings,
    platformsOf: (image) => (image.includes('/arm:') ? arm : none),
    annotationsOf: () => annotations,
  })
}

/** As the store would give it back: equal, and no part of it the same object. */
const reread = (record: ReplicaRecord): ReplicaRecord => clone(ReplicaRecordSchema, record)

test('replicas that ask for the same are of one kind, however they came to be read', () => {
  const kinds = kindsWith()
  const record = replicaRecord('web-1', { spec: { placement: { zones: ['a'] } } as never })
  const kind = kinds.of(record)
  assert.equal(kinds.of(reread(record)), kind)
  assert.equal(kinds.of(reread(record)), kind)
  const others = [
    replicaRecord('web-2', { spec: { placement: { zones: ['b'] } } as never }),
    replicaRecord('web-3', { ...record, labels: { app: 'x' } } as never),
    replicaRecord('web-4', { spec: { priority: 5, placement: { zones: ['a'] } } as never }),
    replicaRecord('web-5', {
      spec: { placement: { zones: ['a'] } } as never,
      status: { workloadId: 'default-other' },
    }),
  ]
  assert.equal(new Set([kind, ...others.map((other) => kinds.of(other))]).size, 5)
})

test("what a workload does not say is the cluster's to say, and changes with it", () => {
  let settings: SchedulerSettings = schedulerDefaults
  const kinds = kindsWith(() => settings)
  const silent = replicaRecord('web-1')
  const outspoken = replicaRecord('web-2', {
    spec: { placement: { spreadTopology: 'none', packing: 'spread' } } as never,
  })
  const said = (record: ReplicaRecord): readonly string[] => {
    const { spreadTopology, packing } = kinds.of(record)
    return [spreadTopology, packing]
  }
  assert.deepEqual(
    [said(silent), said(outspoken)],
    [
      ['zone', 'binpack'],
      ['', 'spread'],
    ],
  )
  settings = { ...settings, spreadTopology: 'node', packing: 'best_fit' }
  kinds.forget()
  assert.deepEqual(
    [said(silent), said(outspoken)],
    [
      ['node', 'best_fit'],
      ['', 'spread'],
    ],
  )
})

test('wishes about the network are no conditions on labels', () => {
  const kind = kindsWith(undefined, { 'network.requirePublicIP': 'true' }).of(
    replicaRecord('web-1', {
      spec: {
        placement: { nodeSelector: { disk: 'ssd', 'network.feature/ipv6': 'required' } },
      } as never,
    }),
  )
  assert.deepEqual(kind.nodeSelector, { disk: 'ssd' })
  assert.deepEqual(kind.networkFeatures, ['ipv6'])
  assert.equal(kind.wantsPublicAddress, true)
})

test('a wish that comes or goes with an annotation holds for replicas that are there already', () => {
  const annotations: Record<string, string> = {}
  const kinds = kindsWith(undefined, annotations)
  const record = replicaRecord('web-1')
  const before = kinds.of(record)
  annotations['network.requirePublicIP'] = 'true'
  assert.equal(kinds.of(record).wantsPublicAddress, true)
  delete annotations['network.requirePublicIP']
  assert.equal(kinds.of(record), before)
})

test('what an image is made for may be told anew, and its kind is found at once again', () => {
  let platforms = ['linux/amd64']
  const kinds = new ReplicaKinds({
    settings: () => schedulerDefaults,
    platformsOf: () => platforms,
    annotationsOf: () => ({}),
  })
  const record = replicaRecord('web-1')
  kinds.of(record)
  platforms = [...platforms]
  // A kind with the old list would be looked for by its content for ever.
  assert.equal(kinds.of(record).platforms, platforms)
  assert.equal(kinds.of(reread(record)), kinds.of(record))
})

test('replicas that ask for another thing of their host are of another kind', () => {
  const kinds = kindsWith()
  const kindOf = (securityContext: object): ReplicaKind =>
    kinds.of(replicaRecord('web-1', { spec: { securityContext } as never }))
  assert.equal(kindOf({}).hostDemands, undefined)
  assert.equal(kindOf({ privileged: true }).hostDemands?.privileged, true)
  assert.equal(kindOf({ privileged: true }), kindOf({ privileged: true }))
  assert.notEqual(kindOf({ privileged: true }), kindOf({ hostNetwork: true }))
  assert.equal(kindOf({ runAsUser: 1n }), kindOf({}), 'not of the host')
})

test('short names and unset fields are filled in', () => {
  const { workload } = workloadRecord()
  const kind = kindsWith().ofWorkload({
    ...workload!,
    spec: {
      ...workload!.spec!,
      image: 'me/arm',
      ports: [{ containerPort: 80, hostPort: 8080 }, { containerPort: 81 }] as never,
      placement: {
        regions: [],
        zones: [],
        nodeSelector: {},
        affinity: [{ type: AffinityType.WORKLOAD, matchLabels: { app: 'x' } }],
        antiAffinity: [],
        tolerations: [{ key: 'gpu', operator: '', value: 'yes', effect: '' }],
        nodeRequirements: [],
        topologySpread: [{ topologyKey: 'zone', required: true, matchLabels: {} }],
        scoreWeights: { locality: 1, reliability: 0, cost: 0, utilization: 0, networkPenalty: 0 },
      } as never,
    },
  })
  assert.equal(kind.image, 'docker.io/me/arm:latest')
  assert.deepEqual(kind.platforms, ['linux/arm64'])
  assert.deepEqual(kind.hostPorts, ['8080/TCP'])
  assert.deepEqual(kind.affinity[0], {
    subject: 'workload',
    matchLabels: { app: 'x' },
    topologyKey: 'node',
    required: undefined,
    weight: 1,
  })
  assert.deepEqual(kind.tolerations[0], {
    key: 'gpu',
    operator: 'Equal',
    value: 'yes',
    effect: undefined,
  })
  assert.equal(kind.topologySpread[0]!.maxSkew, 1)
  assert.equal(kind.weights?.locality, 1)
})
