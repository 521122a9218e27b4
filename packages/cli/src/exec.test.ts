/** workload exec: exit codes, stdin, the terminal's state and size. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { ReplicaState } from '@cloudless/api'
import { FakeIo } from './testing/fake-io.ts'
import { aReplica, aWorkload } from './testing/fake-state.ts'
import { startHarness, type Harness } from './testing/harness.ts'

async function web(t: TestContext): Promise<Harness> {
  const harness = await startHarness(t)
  const workload = aWorkload({ name: 'web' })
  harness.state.workloads.push(workload)
  harness.state.replicas.push(
    aReplica(workload, 'one', { ready: false }),
    aReplica(workload, 'two'),
  )
  return harness
}

test('without -i and -t it prints both streams and passes the exit code on', async (t) => {
  const { cli, state } = await web(t)
  const { code, out, err } = await cli('workload exec web --env A=1 -- ls -l --all')
  assert.deepEqual([code, out, err], [0, 'ran ls -l --all A=1\n', 'a warning\n'])
  assert.equal((await cli('exec web -- false')).code, 1)
  const request = state.calls.at(-1)!.request as { containerId: string }
  assert.equal(request.containerId, 'web-two', 'a ready replica is preferred')
})

test('--replica names the one to enter', async (t) => {
  const { cli, state } = await web(t)
  await cli('exec web --replica one -- true')
  assert.equal((state.calls.at(-1)!.request as { containerId: string }).containerId, 'web-one')
  assert.equal((await cli('exec web --replica nine -- true')).code, 3)
})

test('a workload with nothing running says what its replica is doing', async (t) => {
  const { cli, state } = await web(t)
  state.replicas.splice(0)
  const workload = state.workloads[0]!
  state.replicas.push(
    aReplica(workload, 'one', { state: ReplicaState.STARTING, reason: 'PullingImage' }),
  )
  const { code, err } = await cli('exec web -- true')
  assert.deepEqual(
    [code, err],
    [1, 'No replica of web runs: web-one is STARTING (PullingImage).\n'],
  )
})

test('-i passes stdin on to its end', async (t) => {
  const { cli } = await web(t)
  const io = new FakeIo({ input: ['one', 'two'] })
  const { code, out } = await cli('exec -i web -- cat', { io })
  assert.deepEqual([code, out], [0, 'got onegot two'])
})

test('-it puts the terminal into raw mode, tells its size and changes of it, and restores it', async (t) => {
  const { start, agent } = await web(t)
  const io = new FakeIo({ terminal: true, input: ['hello'], inputStaysOpen: true })
  const { done, interrupt } = start('exec -it web -- sh', { io })
  await io.until(({ outText }) => outText.includes('got hello'))
  assert.deepEqual(agent.seen, ['start tty=true size=100x30'])
  assert.deepEqual(io.rawModes, [true])
  io.resize({ columns: 132, rows: 50 })
  interrupt()
  assert.equal(await done, 130)
  assert.deepEqual(io.rawModes, [true, false])
})

test('the exit code of an interactive command is the exit code', async (t) => {
  const { cli } = await web(t)
  const terminal = (): FakeIo => new FakeIo({ terminal: true, inputStaysOpen: true })
  const io = terminal()
  assert.equal((await cli('exec -it web -- exit 42', { io })).code, 42)
  assert.deepEqual(io.rawModes, [true, false])
  assert.equal((await cli('exec -it web -- exit 3', { io: terminal() })).code, 3)
})

test('a session that breaks off is unavailable, and the terminal is restored', async (t) => {
  const { cli } = await web(t)
  const io = new FakeIo({ terminal: true, inputStaysOpen: true })
  const { code, err } = await cli('exec -it web -- vanish', { io })
  assert.equal(code, 5)
  assert.match(err, /ended before the command did/)
  assert.deepEqual(io.rawModes, [true, false])
})

test('-t without a terminal goes on without one and says so', async (t) => {
  const { cli, agent } = await web(t)
  const { code, err } = await cli('exec -it web -- cat', { io: new FakeIo({ input: [] }) })
  assert.equal(code, 0)
  assert.match(err, /stdin is not a terminal/)
  assert.match(agent.seen[0]!, /tty=false/)
})
