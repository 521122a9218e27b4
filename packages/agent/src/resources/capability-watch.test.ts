import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { NodeCapabilitiesSchema, PowerSource, type NodeCapabilities } from '@cloudless/api'
import { CloudlessError, systemClock, type Clock } from '@cloudless/base'
import { QuietLogger } from '../testing/quiet.ts'
import { waitFor } from '../testing/wait-for.ts'
import { CapabilityWatch, newerOf } from './capability-watch.ts'

const laptop = create(NodeCapabilitiesSchema, {
  architecture: 'amd64',
  runtimeVersion: 'containerd 1.6.20',
  powerSource: PowerSource.MAINS,
  batteryPercent: 80,
})

describe('what a node can do', () => {
  for (const [what, found, isNews] of [
    ['the same again is no news', {}, false],
    ['a plug that was pulled is news', { powerSource: PowerSource.BATTERY }, true],
    ['a battery that loses a little is no news', { batteryPercent: 76 }, false],
    ['a battery that has lost a step is news', { batteryPercent: 75 }, true],
    ['a link that is metered now is news', { meteredLink: true }, true],
    ['a battery that was taken out is news', { batteryPercent: -1 }, true],
    ['a runtime that is away for a while is no news', { runtimeVersion: '' }, false],
    ['a newer runtime is news', { runtimeVersion: 'containerd 2.0.0' }, true],
  ] as const) {
    it(what, () => {
      const after = newerOf(laptop, { ...laptop, ...found })
      assert.equal(after !== laptop, isNews)
      assert.notEqual(after.runtimeVersion, '')
    })
  }

  for (const [what, before, after, isNews] of [
    ['a battery that becomes low is news', 22, 19, true],
    ['a battery that is just not low is no news', 22, 20, false],
    ['a battery that is low and loses a little is no news', 19, 16, false],
    ['a battery that is charged a little is no news, though it is not low', 19, 21, false],
    ['a battery that is charged a step is news', 19, 24, true],
  ] as const) {
    it(what, () => {
      const told = { ...laptop, batteryPercent: before }
      assert.equal(newerOf(told, { ...laptop, batteryPercent: after }) !== told, isNews)
    })
  }

  it('is looked at soon again while the runtime has never answered, then now and then', async () => {
    const due: { ms: number; fire: () => void }[] = []
    const clock: Clock = {
      ...systemClock,
      after: (ms, fire) => {
        due.push({ ms, fire })
        return () => {}
      },
    }
    const answers: (NodeCapabilities | CloudlessError)[] = [
      { ...laptop, runtimeVersion: '' },
      new CloudlessError('unavailable', 'no answer'),
      laptop,
      laptop,
    ]
    const detect = async (): Promise<NodeCapabilities> => {
      const answer = answers.shift()!
      if (answer instanceof CloudlessError) throw answer
      return answer
    }
    const watch = await CapabilityWatch.open({ clock, logger: new QuietLogger(), detect })
    const nextLook = async (n: number): Promise<number> => {
      await waitFor(`look ${n}`, () => due.length > n)
      return due[n]!.ms
    }
    assert.equal(await nextLook(0), 2_000)
    due[0]!.fire()
    assert.equal(await nextLook(1), 2_000)
    assert.equal(watch.current.runtimeVersion, '')
    due[1]!.fire()
    assert.equal(await nextLook(2), 30_000)
    const first = watch.current
    assert.equal(first.runtimeVersion, 'containerd 1.6.20')
    due[2]!.fire()
    await nextLook(3)
    assert.equal(watch.current, first)
    watch.close()
  })
})
