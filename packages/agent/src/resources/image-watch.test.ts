import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { CloudlessError, systemClock, type Clock } from '@cloudless/base'
import type { ImageInfo } from '@cloudless/runtime'
import { FakeRuntime } from '../testing/fake-runtime.ts'
import { QuietLogger } from '../testing/quiet.ts'
import { waitFor } from '../testing/wait-for.ts'
import { ImageWatch } from './image-watch.ts'

const image = (name: string): ImageInfo => ({
  name,
  digest: 'sha256:1',
  bytes: 1,
  platforms: ['linux/amd64'],
  createdAtMs: 1,
})

let runtime: FakeRuntime
let watch: ImageWatch
/** Timers that were set and not cancelled; a test fires them. */
let due: { ms: number; fire: () => void }[]

const clock: Clock = {
  ...systemClock,
  after(ms, fire) {
    const timer = { ms, fire }
    due.push(timer)
    return () => void (due = due.filter((one) => one !== timer))
  },
}

const listings = (): number => runtime.calls.filter((call) => call === 'images').length
const names = (): string[] => watch.current?.images.map(({ name }) => name) ?? []

/** The one timer there is, once it is set for so long. */
async function nextIn(ms: number): Promise<() => void> {
  const timer = await waitFor(`a timer of ${ms} ms`, () => due.find((one) => one.ms === ms))
  assert.equal(due.length, 1)
  return () => {
    due = []
    timer.fire()
  }
}

/** Whatever is on its way has its turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

describe('the images of a node', () => {
  beforeEach(() => {
    due = []
    runtime = new FakeRuntime()
    runtime.present = [image('x.io/a:1')]
    watch = new ImageWatch({ clock, logger: new QuietLogger(), runtime })
  })

  afterEach(() => watch.close())

  it('are known soon after the start, and looked at again seldom', async () => {
    assert.equal(watch.current, undefined)
    watch.start()
    const look = await nextIn(300_000)
    assert.deepEqual(names(), ['x.io/a:1'])
    const before = watch.current
    look()
    await nextIn(300_000)
    assert.equal(watch.current, before, 'the very same when nothing has changed')
    assert.equal(listings(), 2)
  })

  it('are listed once for many changes at a time', async () => {
    watch.start()
    await nextIn(300_000)
    runtime.present = [image('x.io/a:1'), image('x.io/b:1')]
    runtime.tell({ kind: 'images' })
    const look = await nextIn(500)
    const [first] = due
    for (let n = 0; n < 10; n++) runtime.tell({ kind: 'images' })
    await turn()
    assert.deepEqual(due, [first], 'many do not put it off')
    look()
    await nextIn(300_000)
    assert.deepEqual(names(), ['x.io/a:1', 'x.io/b:1'])
    assert.equal(listings(), 2)
  })

  it('are listed once more when they change while they are being listed', async () => {
    const gate = Promise.withResolvers<void>()
    runtime.gates.set('images', gate.promise)
    watch.start()
    runtime.tell({ kind: 'images' })
    await turn()
    assert.equal(due.length, 0, 'one listing at a time')
    runtime.gates.clear()
    gate.resolve()
    const look = await nextIn(500)
    look()
    await nextIn(300_000)
    assert.equal(listings(), 2)
  })

  it('include what has been found to be foreign', async () => {
    runtime.foreign = [{ name: 'x.io/z:1', platforms: ['linux/arm64'] }]
    watch.start()
    await nextIn(300_000)
    assert.deepEqual(names(), ['x.io/z:1', 'x.io/a:1'])
  })

  it('stay as they were while the runtime is away, and are listed when it is back', async () => {
    watch.start()
    const look = await nextIn(300_000)
    runtime.faults.set('images', new CloudlessError('unavailable', 'away'))
    look()
    await nextIn(30_000)
    assert.deepEqual(names(), ['x.io/a:1'])
    runtime.faults.clear()
    runtime.present = []
    runtime.tell({ kind: 'unavailable', message: 'away' })
    runtime.tell({ kind: 'reconnected' })
    const again = await nextIn(500)
    again()
    await nextIn(300_000)
    assert.deepEqual(names(), [])
  })

  it('are not followed any more after close', async () => {
    watch.start()
    await nextIn(300_000)
    watch.close()
    assert.equal(due.length, 0)
    runtime.tell({ kind: 'images' })
    await turn()
    assert.equal(due.length, 0)
  })
})
