/** What the filters that look at what a node is say of it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { HostDemands, HostPolicy } from '@cloudless/base'
import { explain } from '../explain.ts'
import {
  noResources,
  type NodeView,
  type ReplicaKind,
  type Taint,
  type Toleration,
} from '../model.ts'
import { aKind, aNode, pendingOf, placed, tableOf } from '../test-views.ts'

/** What is said of one node, with one replica on it that asks for `held`; "taints: tainted x" or "". */
function refusal(
  kind: Partial<ReplicaKind>,
  node: Partial<NodeView>,
  held: Partial<ReplicaKind> = { requests: noResources },
): string {
  const table = tableOf([aNode('a', node)], [placed('held', 'a', held)])
  const [verdict] = explain(table, pendingOf('new', aKind(kind)))
  assert.ok(verdict)
  return verdict.kind === 'rejected' ? `${verdict.filter}: ${verdict.reason}` : ''
}

type Row = readonly [
  property: string,
  kind: Partial<ReplicaKind>,
  node: Partial<NodeView>,
  refusal: string,
]

function check(rows: readonly Row[]): void {
  for (const [property, kind, node, expected] of rows) {
    it(property, () => assert.equal(refusal(kind, node), expected))
  }
}

describe('by its phase, a node', () => {
  check([
    ['that is ready is taken', {}, {}, ''],
    ['that enrols is not', {}, { phase: 'enrolling' }, 'phase: enrolling'],
    ['that is drained is not', {}, { phase: 'draining' }, 'phase: draining'],
    ['that is cordoned is not', {}, { phase: 'cordoned' }, 'phase: cordoned'],
    ['that is offline is not', {}, { phase: 'offline' }, 'phase: offline'],
    ['that has failed is not', {}, { phase: 'failed' }, 'phase: failed'],
    ['not heard from is not', {}, { phase: 'unknown' }, 'phase: not heard from'],
  ])
})

describe('by its taints, a node', () => {
  const noSchedule: Taint = { key: 'dedicated', value: 'api', effect: 'NoSchedule' }
  const noExecute: Taint = { ...noSchedule, effect: 'NoExecute' }
  const prefer: Taint = { ...noSchedule, effect: 'PreferNoSchedule' }
  const bare: Taint = { key: 'edge', value: '', effect: 'NoSchedule' }
  const equal: Toleration = {
    key: 'dedicated',
    operator: 'Equal',
    value: 'api',
    effect: undefined,
  }
  const exists: Toleration = { ...equal, operator: 'Exists', value: '' }
  const reason = 'taints: tainted dedicated=api'
  const rows: readonly [string, readonly Taint[], readonly Toleration[], string][] = [
    ['tainted NoSchedule is not taken', [noSchedule], [], reason],
    ['tainted NoExecute is not', [noExecute], [], reason],
    ['tainted PreferNoSchedule is', [prefer], [], ''],
    ['with a taint without a value is named by its key', [bare], [], 'taints: tainted edge'],
    ['is taken by what tolerates key and value', [noSchedule], [equal], ''],
    ['is not by what tolerates another value', [noSchedule], [{ ...equal, value: 'db' }], reason],
    ['is not by what tolerates the empty value', [noSchedule], [{ ...equal, value: '' }], reason],
    ['is not by what tolerates another key', [noSchedule], [{ ...equal, key: 'x' }], reason],
    ['is taken by what tolerates the key, whatever the value', [noSchedule], [exists], ''],
    [
      'is not by what tolerates another key, whatever the value',
      [bare],
      [exists],
      'taints: tainted edge',
    ],
    ['is taken by what tolerates every key', [noSchedule, bare], [{ ...exists, key: '' }], ''],
    [
      'is not by an empty key that is to be equal',
      [bare],
      [{ ...equal, key: '', value: '' }],
      'taints: tainted edge',
    ],
    [
      'is taken by what tolerates its effect',
      [noExecute],
      [{ ...exists, effect: 'NoExecute' }],
      '',
    ],
    [
      'is not by what tolerates another effect',
      [noExecute],
      [{ ...exists, effect: 'NoSchedule' }],
      reason,
    ],
    [
      'is not by what tolerates only the discouraging effect',
      [noSchedule],
      [{ ...exists, effect: 'PreferNoSchedule' }],
      reason,
    ],
    [
      'with two taints is taken when both are tolerated',
      [noSchedule, noExecute],
      [
        { ...exists, effect: 'NoSchedule' },
        { ...exists, effect: 'NoExecute' },
      ],
      '',
    ],
    ['with two taints is not when one is', [bare, noExecute], [exists], 'taints: tainted edge'],
    ['is named by the first of its taints that is not tolerated', [noSchedule, bare], [], reason],
    [
      'with the same taints the other way round is named by its own first',
      [bare, noSchedule],
      [],
      'taints: tainted edge',
    ],
  ]
  check(
    rows.map(([property, taints, tolerations, reason]): Row => [
      property,
      { tolerations },
      { taints },
      reason,
    ]),
  )

  it('is named by its own first taint, whatever other nodes are named by', () => {
    const table = tableOf([
      aNode('a', { taints: [noSchedule, bare] }),
      aNode('b', { taints: [bare, noSchedule] }),
    ])
    const reasons = explain(table, pendingOf('new', aKind())).map(
      (verdict) => verdict.kind === 'rejected' && verdict.reason,
    )
    assert.deepEqual(reasons, ['tainted dedicated=api', 'tainted edge'])
  })
})

describe('by its labels, a node', () => {
  const differs = 'selector: labels do not match the node selector'
  check([
    [
      'with the label selected is taken',
      { nodeSelector: { disk: 'ssd' } },
      { labels: { disk: 'ssd' } },
      '',
    ],
    [
      'with another value is not',
      { nodeSelector: { disk: 'ssd' } },
      { labels: { disk: 'hdd' } },
      differs,
    ],
    ['without the label is not', { nodeSelector: { disk: 'ssd' } }, {}, differs],
    [
      'with one of two is not',
      { nodeSelector: { disk: 'ssd', rack: '1' } },
      { labels: { disk: 'ssd' } },
      differs,
    ],
    ['has its name', { nodeSelector: { 'cloudless.io/node': 'a' } }, {}, ''],
    ['has its region', { nodeSelector: { 'cloudless.io/region': 'home' } }, {}, ''],
    ['has its zone', { nodeSelector: { 'cloudless.io/zone': 'zone-a' } }, {}, ''],
    ['has its processor', { nodeSelector: { 'cloudless.io/arch': 'amd64' } }, {}, ''],
    ['has its system', { nodeSelector: { 'cloudless.io/os': 'linux' } }, {}, ''],
    ['has not those of others', { nodeSelector: { 'cloudless.io/zone': 'zone-b' } }, {}, differs],
    [
      'may call itself otherwise',
      { nodeSelector: { 'cloudless.io/zone': 'x' } },
      { labels: { 'cloudless.io/zone': 'x' } },
      '',
    ],
    [
      'has no labels but its own and those',
      { nodeRequirements: [{ key: 'constructor', operator: 'Exists', values: [] }] },
      {},
      'selector: label constructor does not meet Exists',
    ],
    [
      'must meet every condition',
      {
        nodeRequirements: [
          { key: 'a', operator: 'Exists', values: [] },
          { key: 'b', operator: 'Exists', values: [] },
        ],
      },
      { labels: { a: '' } },
      'selector: label b does not meet Exists',
    ],
  ])

  for (const [condition, label, isMet] of [
    ['In a,b', 'a', true],
    ['In a,b', 'b', true],
    ['In a,b', 'c', false],
    ['In a,b', '', false],
    ['In a,b', undefined, false],
    ['NotIn a,b', 'a', false],
    ['NotIn a,b', 'c', true],
    ['NotIn a,b', undefined, true],
    ['Exists', 'a', true],
    ['Exists', '', true],
    ['Exists', undefined, false],
    ['DoesNotExist', 'a', false],
    ['DoesNotExist', '', false],
    ['DoesNotExist', undefined, true],
    ['Gt 3', '4', true],
    ['Gt 3', '3.5', true],
    ['Gt 3', '3', false],
    ['Gt 3', '10', true],
    ['Gt 3', 'many', false],
    ['Gt -1', '', false],
    ['Gt -1', '0', true],
    ['Gt 3', undefined, false],
    ['Lt 3', '2', true],
    ['Lt 3', '3', false],
    ['Lt 30', '4', true],
    ['Lt 3', 'few', false],
    ['Lt 3', '', false],
    ['Lt 3', undefined, false],
  ] as const) {
    const having = label === undefined ? 'without the label' : `labelled "${label}"`
    it(`${having} ${isMet ? 'meets' : 'does not meet'} ${condition}`, () => {
      const [operator, values = ''] = condition.split(' ')
      const requirement = { key: 'k', operator: operator as 'In', values: values.split(',') }
      const labels = label === undefined ? {} : { k: label }
      assert.equal(
        refusal({ nodeRequirements: [requirement] }, { labels }),
        isMet ? '' : `selector: label k does not meet ${operator}`,
      )
    })
  }
})

describe('by where it is, a node', () => {
  check([
    ['in the region wanted is taken', { regions: ['home'] }, {}, ''],
    ['in a region that will do is', { regions: ['eu', 'home'] }, {}, ''],
    ['in another is not', { regions: ['eu'] }, {}, 'location: not in a wanted region'],
    ['in a zone wanted is', { zones: ['zone-b', 'zone-a'] }, {}, ''],
    ['in another zone is not', { zones: ['zone-b'] }, {}, 'location: not in a wanted zone'],
    [
      'must be in both',
      { regions: ['eu'], zones: ['zone-a'] },
      {},
      'location: not in a wanted region',
    ],
  ])
})

describe('by what it is made of, a node', () => {
  const amd = { platforms: ['linux/amd64'] }
  check([
    ['the image is made for is taken', { platforms: ['linux/arm64', 'linux/amd64'] }, {}, ''],
    [
      'of another processor is not',
      amd,
      { architecture: 'arm64' },
      'platform: no image for linux/arm64',
    ],
    ['of another system is not', amd, { os: 'windows' }, 'platform: no image for windows/amd64'],
    [
      'is taken when nobody knows what the image is made for',
      { platforms: [] },
      { architecture: 'riscv64' },
      '',
    ],
    ['that has not told its processor may try', amd, { architecture: '' }, ''],
    ['that has not told its system may try', amd, { os: '' }, ''],
    ['is taken whatever the variant', { platforms: ['linux/arm/v7'] }, { architecture: 'arm' }, ''],
    [
      'is not of a processor whose name begins alike',
      { platforms: ['linux/arm/v7'] },
      { architecture: 'arm64' },
      'platform: no image for linux/arm64',
    ],
    ['with a GPU wanted is taken', { gpuModels: ['a100', 't4'] }, { gpuModels: ['t4'] }, ''],
    [
      'with another GPU is not',
      { gpuModels: ['a100'] },
      { gpuModels: ['t4'] },
      'gpu-model: no GPU of a wanted model',
    ],
    ['without a GPU is not', { gpuModels: ['a100'] }, {}, 'gpu-model: no GPU of a wanted model'],
    ['with any GPU is taken when none is named', {}, { gpuModels: ['t4'] }, ''],
    [
      'whose GPU is named by two models in one word is not',
      { gpuModels: ['a'] },
      { gpuModels: ['a,b'] },
      'gpu-model: no GPU of a wanted model',
    ],
  ])

  const classes = ['unknown', 'low', 'medium', 'high', 'premium']
  for (const wanted of ['', ...classes]) {
    for (const offered of classes) {
      const isEnough = wanted === '' || classes.indexOf(offered) >= classes.indexOf(wanted)
      it(`of disk class ${offered} is ${isEnough ? '' : 'not '}taken where ${wanted || 'any'} is wanted`, () => {
        assert.equal(
          refusal({ iopsClass: wanted }, { iopsClass: offered }),
          isEnough ? '' : 'iops-class: disk too slow',
        )
      })
    }
  }

  check([
    [
      'of a disk class that is a word of the language is not taken where a fast one is wanted',
      { iopsClass: 'low' },
      { iopsClass: 'constructor' },
      'iops-class: disk too slow',
    ],
    [
      'whose disk is full is not taken by what needs disk',
      { requests: { ...noResources, storageBytes: 1 } },
      { diskPressure: true },
      'storage: disk nearly full',
    ],
    ['whose disk is full is by what needs none', {}, { diskPressure: true }, ''],
  ])
})

describe('by what it lets containers have of its host, a node', () => {
  const allowed: HostPolicy = {
    allowPrivileged: false,
    allowHostNamespaces: false,
    hostPathPrefixes: ['/srv'],
    runtimeClasses: ['runc'],
    volumeSources: ['emptyDir', 'hostPath'],
    seccompProfiles: [],
    securityModules: [],
  }
  const nothing: HostDemands = {
    privileged: false,
    hostNamespaces: [],
    hostPaths: [],
    runtimeClass: '',
    volumeSources: [],
    seccompProfile: '',
    securityModules: [],
  }
  const privileged = { ...nothing, privileged: true }
  const rows: readonly [
    property: string,
    asked: Partial<HostDemands> | undefined,
    policy: HostPolicy | undefined,
    reason: string,
  ][] = [
    ['is taken by what asks for nothing', undefined, allowed, ''],
    ['is taken by what asks for what it has', { volumeSources: ['emptyDir'] }, allowed, ''],
    ['that has not told is tried', privileged, undefined, ''],
    ['refuses what is privileged', privileged, allowed, 'privileged containers not allowed'],
    ['that allows it takes it', privileged, { ...allowed, allowPrivileged: true }, ''],
    [
      'refuses to share',
      { hostNamespaces: ["the host's network"] },
      allowed,
      "sharing the host's network not allowed",
    ],
    ['takes a path that it allows', { hostPaths: ['/srv/data/'] }, allowed, ''],
    ['refuses any other', { hostPaths: ['/srvx'] }, allowed, 'host path /srvx not allowed'],
    ['has no runtime of that class', { runtimeClass: 'kata' }, allowed, 'no runtime class kata'],
    ['has one of that class', { runtimeClass: 'runc' }, allowed, ''],
    ['mounts no such volume', { volumeSources: ['secret'] }, allowed, 'mounts no secret volumes'],
    ['has no such profile', { seccompProfile: 'own' }, allowed, 'no seccomp profile own'],
    ['has no AppArmor', { securityModules: ['apparmor'] }, allowed, 'no AppArmor'],
  ]
  check(
    rows.map(([property, asked, policy, reason]): Row => [
      property,
      { hostDemands: asked && { ...nothing, ...asked } },
      { policy },
      reason && `policy: ${reason}`,
    ]),
  )

  it('that changes its mind is judged by what it says now', () => {
    const table = tableOf([aNode('a')])
    const pending = pendingOf('new', aKind({ hostDemands: privileged }))
    const now = (policy: HostPolicy | undefined): string | undefined => {
      table.putNode(aNode('a', { policy }))
      return explain(table, pending)[0]?.kind
    }
    const open = { ...allowed, allowPrivileged: true }
    assert.deepEqual([undefined, allowed, open, undefined, allowed].map(now), [
      'feasible',
      'rejected',
      'feasible',
      'feasible',
      'rejected',
    ])
  })
})
