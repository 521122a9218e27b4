import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { addResources, fits, lackingResource, subtractResources } from './capacity.ts'
import { noResources, type Resources } from './model.ts'

const node: Resources = {
  cpuMillis: 1_000,
  memoryBytes: 1_000,
  storageBytes: 1_000,
  bandwidthBps: 1_000,
  gpuCount: 1,
}

describe('capacity', () => {
  for (const [request, lack] of [
    [{}, undefined],
    [{ cpuMillis: 500 }, undefined],
    [{ cpuMillis: 501 }, 'not enough CPU'],
    [{ memoryBytes: 501 }, 'not enough memory'],
    [{ storageBytes: 501 }, 'not enough storage'],
    [{ bandwidthBps: 501 }, 'not enough bandwidth'],
    [{ gpuCount: 1 }, undefined],
    [{ gpuCount: 2 }, 'not enough GPUs'],
  ] as const) {
    it(`beside half of it, ${JSON.stringify(request)} is ${lack ?? 'held'}`, () => {
      const half = { ...node, gpuCount: 0 }
      for (const name of Object.keys(half) as (keyof Resources)[]) half[name] /= 2
      assert.equal(lackingResource(node, half, { ...noResources, ...request }), lack)
    })
  }

  it('is not asked for what is not wanted, even when too much is reserved', () => {
    const over = { ...noResources, cpuMillis: 5_000 }
    assert.ok(fits(node, over, { ...noResources, memoryBytes: 1 }))
    assert.ok(!fits(node, over, { ...noResources, cpuMillis: 1 }))
  })

  it('adds up to what it was after taking away again', () => {
    const amount = fc.nat(1e9)
    const resources = fc.record(
      {
        cpuMillis: amount,
        memoryBytes: amount,
        storageBytes: amount,
        bandwidthBps: amount,
        gpuCount: amount,
      },
      { noNullPrototype: true },
    )
    fc.assert(
      fc.property(resources, resources, (one, other) => {
        assert.deepEqual(subtractResources(addResources(one, other), other), one)
      }),
    )
  })
})
