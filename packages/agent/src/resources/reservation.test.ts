import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { AssignmentSchema, ResourceCapacitySchema, type Assignment } from '@cloudless/api'
import { newReplica, type Stage } from '../replica/replica-state.ts'
import { lessReserved, reservedBy, shortagesFor } from './reservation.ts'

type Amounts = MessageInitShape<typeof ResourceCapacitySchema>

function assignment(requests?: Amounts): Assignment {
  return create(AssignmentSchema, {
    replicaId: 'run-tool',
    spec: { image: 'busybox', ...(requests && { resources: { requests } }) },
  })
}

const held = (stage: Stage, requests?: Amounts) => ({
  ...newReplica(assignment(requests)),
  stage,
})
const all = create(ResourceCapacitySchema, {
  cpuMillicores: 1_000,
  memoryBytes: 1_024n ** 3n,
  storageBytes: 100n,
  bandwidthBps: 1_000n,
  gpuCount: 1,
  iopsClass: 'high',
})

describe('what containers hold', () => {
  it('is the sum of what runs or will, and not of what has ended', () => {
    const requests = { cpuMillicores: 100, memoryBytes: 10n, gpuCount: 1 }
    const stages = ['new', 'pulling', 'starting', 'running', 'waiting', 'stopping'] as const
    const ended = ['succeeded', 'failed', 'removed'] as const
    const sum = reservedBy([...stages, ...ended].map((stage) => held(stage, requests)))
    assert.deepEqual([sum.cpuMillicores, sum.memoryBytes, sum.gpuCount], [600, 60n, 6])
    assert.equal(reservedBy([held('running')]).cpuMillicores, 0)
  })

  it('is taken off what there is, and never makes it negative', () => {
    const reserved = reservedBy([
      held('running', { cpuMillicores: 400, memoryBytes: 1_024n ** 4n }),
    ])
    const left = lessReserved(all, reserved)
    assert.deepEqual(
      [left.cpuMillicores, left.memoryBytes, left.storageBytes, left.iopsClass],
      [600, 0n, 100n, 'high'],
    )
  })

  it('leaves room for what fits exactly, and says what is short', () => {
    assert.deepEqual(shortagesFor(assignment({ cpuMillicores: 1_000, gpuCount: 1 }), all), [])
    assert.deepEqual(shortagesFor(assignment(), all), [])
    assert.deepEqual(
      shortagesFor(assignment({ cpuMillicores: 1_001, memoryBytes: 2n * 1_024n ** 3n }), all),
      ['1001m of CPU (1000m left)', '2Gi of memory (1Gi left)'],
    )
    assert.equal(
      shortagesFor(assignment({ storageBytes: 101n, bandwidthBps: 1_001n, gpuCount: 2 }), all)
        .length,
      3,
    )
  })
})
