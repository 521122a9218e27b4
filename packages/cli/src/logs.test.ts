/** workload logs: over all replicas, in the order of time, across broken connections. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { FakeLogEntry } from './testing/fake-agent.ts'
import { FakeIo } from './testing/fake-io.ts'
import { aReplica, aWorkload } from './testing/fake-state.ts'
import { startHarness, type Harness } from './testing/harness.ts'

function entries(...lines: readonly [timestampUs: number, line: string][]): FakeLogEntry[] {
  return lines.map(([timestampUs, line]) => ({
    timestampUs: BigInt(timestampUs),
    stream: 'stdout',
    line,
  }))
}

async function web(t: TestContext): Promise<Harness> {
  const harness = await startHarness(t)
  const workload = aWorkload({ name: 'web' })
  harness.state.workloads.push(workload)
  harness.state.replicas.push(aReplica(workload, 'one'), aReplica(workload, 'two'))
  harness.agent.logs.set('web-one', entries([1_000_000, 'first'], [3_000_000, 'third']))
  harness.agent.logs.set('web-two', entries([2_000_000, 'second'], [4_000_000, 'fourth']))
  return harness
}

test('lines of all replicas come in the order of time, each behind its replica', async (t) => {
  const { cli } = await web(t)
  const { code, out } = await cli('workload logs web')
  assert.equal(code, 0)
  assert.equal(out, 'web-one | first\nweb-two | second\nweb-one | third\nweb-two | fourth\n')
})

test('--tail, --replica and --timestamps narrow and explain', async (t) => {
  const { cli } = await web(t)
  assert.equal((await cli('logs web --tail 1')).out, 'web-one | third\nweb-two | fourth\n')
  assert.equal((await cli('logs web --replica two')).out, 'second\nfourth\n')
  assert.equal(
    (await cli('logs web-one --timestamps')).out.split('\n')[0],
    '1970-01-01T00:00:01.000000Z first',
  )
  assert.equal(
    (await cli('logs web --since 1970-01-01T00:00:03Z')).out,
    'web-one | third\nweb-two | fourth\n',
  )
  const missing = await cli('logs web --replica three')
  assert.deepEqual(
    [missing.code, missing.err],
    [3, 'There is no replica "three"; there are web-one, web-two.\n'],
  )
  assert.equal((await cli('logs nobody')).code, 3)
})

test('parts of a long line are put together', async (t) => {
  const { cli, agent } = await web(t)
  agent.logs.set('web-one', [
    { timestampUs: 1n, stream: 'stdout', line: 'long ', partial: true },
    { timestampUs: 2n, stream: 'stderr', line: 'between' },
    { timestampUs: 3n, stream: 'stdout', line: 'line' },
  ])
  assert.equal((await cli('logs web-one')).out, 'between\nlong line\n')
})

test('-f goes on, with replicas that come later, until the workload is deleted', async (t) => {
  const { start, state, agent } = await web(t)
  const { io, done } = start('workload logs web -f')
  await io.until(({ outText }) => outText.includes('third') && outText.includes('fourth'))
  agent.logs.get('web-one')!.push(...entries([5_000_000, 'fifth']))
  const workload = aWorkload({ name: 'web' })
  state.replicas.splice(1, 1, aReplica(workload, 'three'))
  agent.logs.set('web-three', entries([6_000_000, 'sixth']))
  state.workloads[0] = workload
  state.changes.emit('change')
  await io.until(({ outText }) => outText.includes('web-one | fifth') && outText.includes('sixth'))
  assert.match(io.outText, /web-three \| sixth/)
  state.workloads.pop()
  state.changes.emit('change')
  assert.equal(await done, 0)
})

test('-f takes up where a broken stream ended, repeating and losing nothing', async (t) => {
  const { start, agent } = await web(t)
  agent.logs.set(
    'web-one',
    entries([1_000, 'a'], [2_000, 'b'], [2_000, 'c'], [2_000, 'd'], [9_000, 'e']),
  )
  agent.breakAfter = 3
  const { io, interrupt, done } = start('logs web-one -f')
  await io.until(({ outText }) => outText.includes('e\n'))
  interrupt()
  assert.equal(await done, 130)
  assert.equal(io.outText, 'a\nb\nc\nd\ne\n')
  assert.match(io.errText, /The node is not connected.* Trying again/i)
})

test('on a terminal every replica has a colour of its own', async (t) => {
  const { cli } = await web(t)
  const { out } = await cli('logs web', { io: new FakeIo({ terminal: true }) })
  const colours = new Set([...out.matchAll(/\[(\d+)m(web-\w+)/g)].map(([, colour]) => colour))
  assert.equal(colours.size, 2)
})
