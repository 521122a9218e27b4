import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { fromBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { ReplicaRecordSchema, ReplicaState, type ReplicaRecord } from '@cloudless/api'
import { newReplica } from '../controllers/replica-records.ts'
import { replicaRecord, workloadRecord } from '../testing/records.ts'
import { encodeReplica, ReplicaDecoder } from './replica-coding.ts'

const text = fc.string({ maxLength: 8 })
const replicas = fc
  .record({
    image: text,
    env: fc.dictionary(text, text, { maxKeys: 2, noNullPrototype: true }),
    labels: fc.dictionary(text, text, { maxKeys: 2, noNullPrototype: true }),
    hasResources: fc.boolean(),
    cpuMillicores: fc.nat(2_000),
    containerPort: fc.option(fc.nat(60_000), { nil: undefined }),
    workloadId: text,
    nodeId: text,
    stopGraceMs: fc.option(fc.bigInt(0n, 90_000n), { nil: undefined }),
    message: text,
    score: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map(({ image, env, labels, stopGraceMs, ...status }) =>
    replicaRecord('web-1', {
      spec: { image, env },
      labels,
      ...(stopGraceMs === undefined ? {} : { stopGraceMs }),
      status: {
        state: ReplicaState.RUNNING,
        workloadId: status.workloadId,
        nodeId: status.nodeId,
        message: status.message,
        score: status.score,
        ports: status.containerPort === undefined ? [] : [{ containerPort: status.containerPort }],
        ...(status.hasResources && { resources: { cpuMillicores: status.cpuMillicores } }),
      },
    }),
  )

test('what is read is what was written, and what anyone else would read', () => {
  const decoder = new ReplicaDecoder()
  fc.assert(
    fc.property(replicas, (replica) => {
      const value = encodeReplica(7, replica)
      assert.equal(value[0], 7)
      const body = value.subarray(1)
      assert.deepEqual(decoder.decode(body), replica)
      assert.deepEqual(fromBinary(ReplicaRecordSchema, body), replica)
    }),
  )
})

test('a replica without a spec or a status is read as it is', () => {
  const bare = fromBinary(ReplicaRecordSchema, new Uint8Array())
  assert.deepEqual(new ReplicaDecoder().decode(encodeReplica(1, bare).subarray(1)), bare)
})

test('replicas of one workload share its spec, labels, ports and what they reserve', () => {
  const decoder = new ReplicaDecoder()
  const [one, other, changed] = ['nginx', 'nginx', 'httpd'].map((image, n) =>
    decoder.decode(
      encodeReplica(
        1,
        replicaRecord(`web-${n}`, {
          spec: { image },
          labels: { app: 'web' },
          status: { resources: { cpuMillicores: 10 }, ports: [{ containerPort: 80 }] },
        }),
      ).subarray(1),
    ),
  )
  assert.equal(one!.spec, other!.spec)
  assert.equal(one!.labels, other!.labels)
  assert.equal(one!.status!.resources, other!.status!.resources)
  assert.equal(one!.status!.ports, other!.status!.ports)
  assert.equal(changed!.spec!.image, 'httpd')
  assert.notEqual(changed!.spec, one!.spec)
  assert.deepEqual([one!.status!.id, other!.status!.id], ['web-0', 'web-1'])
})

test('a record whose labels differ from those last written with its spec keeps its own', () => {
  const first = replicaRecord('web-1', { labels: { app: 'web' } })
  const second = { ...first, labels: { app: 'shop' } }
  const decoder = new ReplicaDecoder()
  for (const replica of [first, second, first]) {
    assert.deepEqual(decoder.decode(encodeReplica(1, replica).subarray(1)), replica)
  }
})

test('a replica, made or read, takes less than a kilobyte', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const decoder = new ReplicaDecoder()
  const workload = workloadRecord({ spec: { ports: [{ containerPort: 80 }] } })
  const made = (n: number): ReplicaRecord =>
    newReplica(workload, { id: `web-${n}`, replaces: '', nowMs: 1_800_000_000_000 + n })
  const ways = [made, (n: number) => decoder.decode(encodeReplica(1, made(n)).subarray(1))]
  for (const make of ways) {
    const count = 5_000
    const kept: ReplicaRecord[] = []
    collect()
    const before = process.memoryUsage().heapUsed
    for (let n = 0; n < count; n++) kept.push(make(n))
    collect()
    const bytes = (process.memoryUsage().heapUsed - before) / kept.length
    assert.ok(bytes < 1_000, `${Math.round(bytes)} bytes each`)
  }
})
