import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  fewestVictims,
  fewestVictimsBound,
  isCheaper,
  type Sacrifice,
  type VictimGroup,
} from './victim-search.ts'

interface Scene {
  readonly groups: readonly VictimGroup[]
  readonly lacking: readonly number[]
  readonly spareOf: (workloadId: string) => number
}

const scenes: fc.Arbitrary<Scene> = fc
  .record({
    groups: fc.array(
      fc.record({
        workloadId: fc.constantFrom('a', 'b', 'c'),
        priority: fc.integer({ min: -3, max: 3 }),
        size: fc.integer({ min: 1, max: 3 }),
        frees: fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 5 })),
        isMandatory: fc.constantFrom(false, false, false, false, true),
      }),
      { maxLength: 5 },
    ),
    lacking: fc.tuple(fc.integer({ min: -2, max: 14 }), fc.integer({ min: -2, max: 14 })),
    spare: fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 3, maxLength: 3 }),
  })
  .map(({ groups, lacking, spare }) => ({
    groups: groups.toSorted((a, b) => a.priority - b.priority),
    lacking,
    spareOf: (workloadId) => spare['abc'.indexOf(workloadId)]!,
  }))

test('finds what trying everything finds', () => {
  fc.assert(
    fc.property(scenes, (scene) => {
      const found = fewestVictims(scene.groups, scene.lacking, scene)
      const best = everyWay(scene).reduce<Sacrifice | undefined>(
        (least, one) => (least === undefined || isCheaper(one, least) ? one : least),
        undefined,
      )
      const { taken: _, ...toll } = found ?? { taken: [] }
      const { taken: __, ...bestToll } = best ?? { taken: [] }
      assert.deepEqual(toll, bestToll)
      if (found !== undefined) assert.ok(isEnough(scene, found.taken))
    }),
    { numRuns: 2_000 },
  )
})

test('nothing is found below the bound', () => {
  fc.assert(
    fc.property(scenes, (scene) => {
      const bound = fewestVictimsBound(scene.groups, scene.lacking)
      const found = fewestVictims(scene.groups, scene.lacking, scene)
      assert.ok(found === undefined || (bound >= 0 && bound <= found.count))
    }),
  )
})

test('what is asked beside the room decides', () => {
  fc.assert(
    fc.property(scenes, fc.nat(4), (scene, spared) => {
      const accepts = (taken: readonly number[]): boolean => (taken[spared] ?? 0) === 0
      const found = fewestVictims(scene.groups, scene.lacking, { ...scene, accepts })
      const ways = everyWay(scene).filter(({ taken }) => accepts(taken))
      assert.equal(
        found?.count,
        ways.length === 0 ? undefined : Math.min(...ways.map((w) => w.count)),
      )
    }),
  )
})

test('when it may not take long it leaves out whom it can', () => {
  fc.assert(
    fc.property(scenes, (scene) => {
      const found = fewestVictims(scene.groups, scene.lacking, { ...scene, stepsMax: 1 })
      if (found === undefined) return
      assert.ok(isEnough(scene, found.taken))
      found.taken.forEach((count, n) => {
        if (count > 0) assert.ok(!isEnough(scene, found.taken.with(n, count - 1)))
      })
    }),
  )
})

test('a hundred workloads on a node are searched through', () => {
  const groups = Array.from({ length: 100 }, (_, n) => ({
    workloadId: `w${n}`,
    priority: n % 7,
    size: 1,
    frees: [50 + ((n * 37) % 100), 50 + ((n * 61) % 100)],
    isMandatory: false,
  })).sort((a, b) => a.priority - b.priority)
  const found = fewestVictims(groups, [1_000, 1_000], { spareOf: () => 1 })
  assert.ok(found !== undefined && found.count <= 12, `${found?.count}`)
})

function isEnough({ groups, lacking }: Scene, taken: readonly number[]): boolean {
  return (
    groups.every(({ isMandatory, size }, n) => !isMandatory || taken[n] === size) &&
    lacking.every(
      (amount, at) =>
        groups.reduce((left, { frees }, n) => left - taken[n]! * frees[at]!, amount) <= 0,
    )
  )
}

/** All that are enough and within budget. */
function everyWay(scene: Scene): Sacrifice[] {
  const { groups, spareOf } = scene
  let ways: number[][] = [[]]
  for (const { size } of groups) {
    ways = ways.flatMap((way) => Array.from({ length: size + 1 }, (_, count) => [...way, count]))
  }
  return ways
    .filter((taken) => isEnough(scene, taken))
    .filter((taken) =>
      groups.every(({ workloadId }) => {
        const ofIt = taken.filter((_, n) => groups[n]!.workloadId === workloadId)
        return ofIt.reduce((sum, count) => sum + count, 0) <= spareOf(workloadId)
      }),
    )
    .map((taken) => ({
      taken,
      count: taken.reduce((sum, count) => sum + count, 0),
      highest: Math.max(
        -Infinity,
        ...groups.map(({ priority }, n) => (taken[n]! > 0 ? priority : -Infinity)),
      ),
      sum: taken.reduce((sum, count, n) => sum + count * groups[n]!.priority, 0),
    }))
}
