/** What the scheduler says, as people read it: explanations, simulations, the pool, its configuration. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  FragmentSchema,
  FragmentStatus,
  type NodeVerdictSchema,
  ReplicaExplanationSchema,
  ResourcePoolSchema,
  ScheduleDecisionSchema,
  SimulateNodesResponseSchema,
  SimulationKind,
} from '@cloudless/api'
import { aReplica, aWorkload } from './testing/fake-state.ts'
import { startHarness, type Harness } from './testing/harness.ts'

type VerdictInit = MessageInitShape<typeof NodeVerdictSchema>

const kitchen: VerdictInit = {
  nodeName: 'pi-kitchen',
  score: 0.755,
  chosen: true,
  terms: [
    { name: 'locality', value: 70, weight: 0.3, contribution: 0.21 },
    { name: 'reliability', value: 100, weight: 0.25, contribution: 0.25 },
    { name: 'network_penalty', value: 0, weight: -0.1, contribution: 0 },
    { name: 'device', value: 0, weight: 0.25, contribution: 0 },
  ],
}
const attic: VerdictInit = {
  nodeName: 'attic',
  score: 0.505,
  replicasInPlace: 1,
  terms: [
    { name: 'locality', value: 70, weight: 0.3, contribution: 0.21 },
    { name: 'reliability', value: 60, weight: 0.25, contribution: 0.15 },
    { name: 'network_penalty', value: 0, weight: -0.1, contribution: 0 },
    { name: 'device', value: -40, weight: 0.25, contribution: -0.1 },
  ],
}
const cellar: VerdictInit = { nodeName: 'cellar', reason: 'tainted gpu=only', filter: 'taints' }

async function cluster(t: TestContext): Promise<Harness> {
  const harness = await startHarness(t)
  const { state } = harness
  const web = aWorkload({ name: 'web' })
  state.workloads.push(web)
  state.scheduling.explanations = [
    create(ReplicaExplanationSchema, {
      replica: aReplica(web, 'two', { nodeId: '' }),
      verdicts: [{ ...cellar }],
      summary: 'waits: 0 of 1 node: 1 tainted gpu=only',
    }),
    create(ReplicaExplanationSchema, {
      replica: aReplica(web, 'one'),
      verdicts: [kitchen, attic, cellar],
      summary: 'runs on pi-kitchen, the best of 2 nodes that could take it (score 0.75)',
    }),
  ]
  return harness
}

test('workload explain says where each replica is, and what of every node', async (t) => {
  const { cli } = await cluster(t)
  const { out, code, err } = await cli('workload explain web')
  assert.deepEqual([code, err], [0, ''])
  assert.equal(
    out,
    `web-two waits: 0 of 1 node: 1 tainted gpu=only
     NODE    VERDICT
     cellar  tainted gpu=only

web-one runs on pi-kitchen, the best of 2 nodes that could take it (score 0.75)
     NODE        VERDICT           IN PLACE  LOCALITY x0.30  RELIABILITY x0.25  DEVICE x0.25
  *  pi-kitchen  0.76              0         70              100                0
     attic       0.51              1         70              60                 -40
     cellar      tainted gpu=only
`,
  )
})

test('explain -o wide shows every term and what it adds', async (t) => {
  const { cli } = await cluster(t)
  const { out } = await cli('explain web --replica one -o wide')
  assert.equal(
    out,
    `web-one runs on pi-kitchen, the best of 2 nodes that could take it (score 0.75)
     NODE        VERDICT           IN PLACE  LOCALITY x0.30  RELIABILITY x0.25  NETWORK PENALTY x-0.10  DEVICE x0.25
  *  pi-kitchen  0.76              0         70 (+0.210)     100 (+0.250)       0 (+0.000)              0 (+0.000)
     attic       0.51              1         70 (+0.210)     60 (+0.150)        0 (+0.000)              -40 (-0.100)
     cellar      tainted gpu=only
`,
  )
})

test('explanations of many nodes are cut to the best and the first refused', async (t) => {
  const { cli, state } = await cluster(t)
  const many = Array.from({ length: 40 }, (_, n) => ({ ...cellar, nodeName: `n${n}` }))
  state.scheduling.explanations = [
    create(ReplicaExplanationSchema, {
      replica: { id: 'web-one' },
      verdicts: [kitchen, ...many],
      summary: 'runs',
    }),
  ]
  const short = await cli('explain web')
  assert.match(short.out, / n14 .*\n {2}and 25 more; -o wide shows all\n$/)
  assert.match((await cli('explain web -o wide')).out, / n39 /)
})

test('explanations are there for scripts', async (t) => {
  const { cli, state } = await cluster(t)
  const json = JSON.parse((await cli('workload explain web -o json')).out)
  assert.equal(json.replicas[1].verdicts[1].terms[3].contribution, -0.1)
  assert.equal((await cli('explain web -o name')).out, 'replica/web-two\nreplica/web-one\n')
  state.scheduling.explanations = []
  assert.equal((await cli('explain web')).out, 'workload web has no replicas\n')
})

test('explain -f says where replicas of a manifest would go, and sends nothing else', async (t) => {
  const { cli, state, directory } = await cluster(t)
  const manifest =
    'apiVersion: cloudless/v1\nkind: Workload\nmetadata: {name: new}\nspec: {image: x, replicas: 2}\n'
  writeFileSync(join(directory, 'new.yaml'), manifest)
  state.scheduling.decisions = [
    create(ScheduleDecisionSchema, {
      replicaId: 'new-0',
      nodeId: 'node-k',
      summary: 'would go to pi-kitchen, the only one of 2 nodes that could take it (score 0.75)',
      verdicts: [kitchen, cellar],
    }),
    create(ScheduleDecisionSchema, {
      replicaId: 'new-1',
      summary: 'would wait: 0 of 2 nodes: 1 not enough memory, 1 tainted gpu=only',
    }),
  ]
  const { out, code } = await cli('workload explain -f new.yaml')
  assert.equal(code, 0)
  assert.equal(
    out,
    `workload new: 2 replicas, 1 would wait

new-0 would go to pi-kitchen, the only one of 2 nodes that could take it (score 0.75)
     NODE        VERDICT           LOCALITY x0.30  RELIABILITY x0.25
  *  pi-kitchen  0.76              70              100
     cellar      tainted gpu=only

new-1 would wait: 0 of 2 nodes: 1 not enough memory, 1 tainted gpu=only
`,
  )
  const [call] = state.calls
  assert.deepEqual([state.calls.length, call?.method], [1, 'Schedule'])
  const { dryRun, explain } = call!.request as { dryRun: boolean; explain: boolean }
  assert.deepEqual([dryRun, explain], [true, true])
  assert.equal(JSON.parse((await cli('explain -f new.yaml -o json')).out).decisions.length, 2)
})

test('explain needs a workload or a manifest, not both', async (t) => {
  const { cli } = await cluster(t)
  for (const line of ['explain', 'explain web -f x.yaml', 'explain -f x.yaml --replica one']) {
    assert.equal((await cli(line)).code, 2, line)
  }
  assert.equal((await cli('explain api')).code, 3)
})

test('workload describe says how its replicas are to be placed', async (t) => {
  const { cli, state } = await cluster(t)
  const placement = {
    packing: 'best_fit',
    topologySpread: [
      { topologyKey: 'zone', maxSkew: 1, minDomains: 3, required: true },
      { topologyKey: 'rack', maxSkew: 2 },
    ],
    scoreWeights: { reliability: 4, networkPenalty: 1 },
  }
  state.workloads.push(aWorkload({ name: 'db', spec: { image: 'db', placement } }))
  const { out } = await cli('describe workload db')
  assert.match(out, /Spread: +zone by at most 1, at least 3, rack by at most 2 if possible\n/)
  assert.match(out, /Packing: +best_fit\n +Weights: +reliability 4, network penalty 1\n/)
})

const moves = [
  {
    replicaId: 'web-two',
    workloadName: 'web',
    fromNodeName: 'a',
    pendingReasons: [
      { reason: 'not enough memory', nodeCount: 2 },
      { reason: 'draining', nodeCount: 1 },
    ],
  },
  {
    replicaId: 'web-one',
    workloadName: 'web',
    fromNodeName: 'a',
    toNodeId: 'node-b',
    toNodeName: 'b',
    score: 0.6149,
  },
]

test('simulate drain shows what would move where and what would not fit', async (t) => {
  const { cli, state } = await cluster(t)
  state.scheduling.simulation = create(SimulateNodesResponseSchema, {
    moves,
    workloadsBelowMinimum: ['default-web'],
  })
  const { out, code } = await cli('simulate drain a --no-headers')
  assert.equal(code, 0)
  assert.equal(
    out,
    `web-two  web  a  -  -     0 of 3 nodes: 2 not enough memory, 1 draining
web-one  web  a  b  0.61  -
Below their minimum: default-web.
1 of 2 replicas would not fit anywhere.
`,
  )
  assert.equal((await cli('simulate drain a --check')).code, 1)
  state.scheduling.simulation.workloadsBelowMinimum = []
  assert.equal((await cli('simulate drain a --check')).code, 1)
  const { nodeIds, kind } = state.calls.at(-1)!.request as { nodeIds: string[]; kind: number }
  assert.deepEqual([nodeIds, kind], [['a'], SimulationKind.DRAIN])
})

test('simulate loss of what nobody misses is well', async (t) => {
  const { cli, state } = await cluster(t)
  assert.match((await cli('simulate loss a b')).out, /\nNothing would move\.\n$/)
  state.scheduling.simulation = create(SimulateNodesResponseSchema, { moves: moves.slice(1) })
  const { out, code } = await cli('simulate loss node/a b --check')
  assert.match(out, /\nTotal: 1 replica\nEverything would fit elsewhere\.\n$/)
  assert.equal(code, 0)
  const { nodeIds, kind } = state.calls.at(-1)!.request as { nodeIds: string[]; kind: number }
  assert.deepEqual([nodeIds, kind], [['a', 'b'], SimulationKind.LOSS])
  state.scheduling.simulation.workloadsBelowMinimum = ['default-web']
  const below = await cli('simulate loss a --check')
  assert.match(below.out, /\nBelow their minimum for a while: default-web\.\n/)
  assert.equal(below.code, 1)
  assert.equal((await cli('simulate loss')).code, 2)
  assert.equal(JSON.parse((await cli('simulate loss a -o json')).out).moves[0].toNodeName, 'b')
})

const gib = 1n << 30n
const capacity = (cpuMillicores: number, gibs: bigint) => ({
  cpuMillicores,
  memoryBytes: gibs * gib,
  storageBytes: 10n * gibs * gib,
  bandwidthBps: 100_000_000n,
})
const share = {
  nodes: 3,
  nodesReady: 2,
  capacity: capacity(12_000, 24n),
  allocatable: capacity(10_000, 20n),
  reserved: capacity(2_500, 5n),
  free: capacity(7_500, 15n),
  used: { cpuMillicores: 120, memoryBytes: gib },
  fragments: { RESERVED: 1, ALLOCATED: 8 },
  fragmentation: 0.125,
}

test('vrn shows the pool at a glance, and place by place', async (t) => {
  const { cli, state } = await cluster(t)
  state.scheduling.pool = create(ResourcePoolSchema, {
    cluster: { ...share, name: 'cluster' },
    regions: [{ ...share, name: 'home' }],
    zones: [{ ...share, name: 'home/zone-a' }],
    nodes: [{ ...share, name: 'a', nodes: 1, nodesReady: 1 }],
    cpuOvercommit: 1.5,
    memoryOvercommit: 1,
  })
  const { out } = await cli('vrn')
  assert.equal(
    out,
    `Nodes:           3 (2 ready)
Fragments:       8 ALLOCATED, 1 RESERVED
Fragmented:      13% of what is free
Overcommitment:  cpu 1.5 times
Resources:
             CAPACITY   ALLOCATABLE  RESERVED   USED     FREE
  cpu        12000m     10000m       2500m      120m     7500m
  memory     24Gi       20Gi         5Gi        1Gi      15Gi
  storage    240Gi      200Gi        50Gi       0        150Gi
  bandwidth  100Mbit/s  100Mbit/s    100Mbit/s  0Mbit/s  100Mbit/s
Zones:
  ZONE         READY  CPU (reserved/m)  CPU FREE  MEMORY (reserved)  MEMORY FREE  FRAGMENTS                FRAGMENTED
  home/zone-a  2/3    2500/10000 (25%)  7500      5Gi/20Gi (25%)     15Gi         8 ALLOCATED, 1 RESERVED  13%
`,
  )
  assert.match((await cli('vrn --by node')).out, /│ a .*│ 1\/1 .*\nTotal: 1 node\n$/s)
  assert.equal((await cli('vrn show --by region -o name')).out, 'region/home\n')
  assert.equal(JSON.parse((await cli('vrn -o json')).out).cpuOvercommit, 1.5)
  assert.equal((await cli('vrn --by rack')).code, 2)
  assert.match((await cli('vrn --help')).out, /fragments +List the pieces/)
})

test('vrn fragments lists what is held, and picks', async (t) => {
  const { cli, state } = await cluster(t)
  state.scheduling.fragments.push(
    create(FragmentSchema, {
      id: 'frag-web-one',
      status: FragmentStatus.ALLOCATED,
      nodeName: 'a',
      workloadName: 'web',
      resources: { cpuMillicores: 250, memoryBytes: gib },
    }),
  )
  const { out } = await cli('vrn fragments --no-headers')
  assert.equal(out, 'frag-web-one  ALLOCATED  a  web  250  1Gi  -\n')
  await cli('vrn fragments --node a --workload web --status released -n prod')
  const request = state.calls.at(-1)!.request as Record<string, unknown>
  assert.deepEqual(
    [request['nodeId'], request['workloadId'], request['namespace'], request['status']],
    ['a', 'web', 'prod', FragmentStatus.RELEASED],
  )
  await cli('vrn fragments')
  assert.equal((state.calls.at(-1)!.request as { namespace: string }).namespace, '')
})

test('scheduler get and set speak the same words', async (t) => {
  const { cli, state } = await cluster(t)
  const sheet = (await cli('scheduler get')).out
  assert.equal(
    sheet,
    `locality:           0.3
reliability:        0.25
cost:               0.15
utilization:        0.2
network-penalty:    0.1
packing:            binpack
spread:             zone
cpu-overcommit:     1
memory-overcommit:  1
preemption-above:   100
`,
  )
  const { out, code } = await cli('scheduler set --packing spread --cpu-overcommit 1.5')
  assert.equal(code, 0)
  assert.match(out, /^packing: +spread {2}\(changed\)$/m)
  assert.match(out, /^cpu-overcommit: +1\.5 {2}\(changed\)$/m)
  assert.match(out, /^spread: +zone$/m)
  const { weights } = state.scheduling.configuration
  assert.equal(weights?.locality, 0.3, 'what is not named is not sent')
})

test('a weight is changed among those that hold, or those of the file', async (t) => {
  const { cli, state } = await cluster(t)
  const { scheduling } = state
  await cli('scheduler set --reliability 4 --preemption-above -5')
  const weights = () => {
    const { locality, reliability } = scheduling.configuration.weights!
    return [locality, reliability]
  }
  assert.deepEqual([...weights(), scheduling.configuration.preemptionPriorityAbove], [0.3, 4, -5])
  await cli('scheduler set --locality 2')
  assert.deepEqual(weights(), [2, 4])
  const sent = state.calls.at(-1)!.request as { configuration: { resourceVersion: bigint } }
  assert.equal(sent.configuration.resourceVersion, 4n, 'refused when somebody was faster')
  await cli('scheduler set --reset --locality 3')
  assert.deepEqual(weights(), [3, 0.25])
  await cli('scheduler set --reset')
  assert.deepEqual(weights(), [0.3, 0.25])
})

test('scheduler set wants something it understands', async (t) => {
  const { cli, state } = await cluster(t)
  for (const line of ['', '--packing tight', '--cost -1', '--cpu-overcommit many']) {
    assert.equal((await cli(`scheduler set ${line}`)).code, 2, line)
  }
  assert.equal(state.calls.length, 0)
})
