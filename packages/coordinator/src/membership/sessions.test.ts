import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  AgentMessageSchema,
  HelloSchema,
  type AgentMessage,
  type CoordinatorMessage,
} from '@cloudless/api'
import { deleteRecord } from '../state/cluster-state.ts'
import { cleanUp, eventually, openCluster } from '../testing/cluster.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { nodeRecord, readyReplica } from '../testing/records.ts'
import { LiveNodes } from './live-nodes.ts'
import { livenessDefaults } from './liveness.ts'
import { ObservationWriter } from './observation-writer.ts'
import { Sessions } from './sessions.ts'

type Message = MessageInitShape<typeof AgentMessageSchema>['message']

/** An agent's end of a stream: what it says, and what it has heard. */
class FakeAgent implements AsyncIterable<AgentMessage> {
  readonly heard: CoordinatorMessage['message'][] = []
  readonly #said: AgentMessage[] = []
  #wake: (() => void) | undefined
  #hungUp = false
  ended: { readonly error: unknown } | undefined

  say(message: NonNullable<Message>): void {
    this.#said.push(create(AgentMessageSchema, { message }))
    this.#wake?.()
  }

  hangUp(): void {
    this.#hungUp = true
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncIterator<AgentMessage> {
    for (;;) {
      for (let next = this.#said.shift(); next; next = this.#said.shift()) yield next
      if (this.#hungUp) return
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }

  async listen(messages: AsyncIterable<CoordinatorMessage>): Promise<void> {
    try {
      for await (const { message } of messages) this.heard.push(message)
      this.ended = { error: undefined }
    } catch (error) {
      this.ended = { error }
    }
  }

  has(kind: CoordinatorMessage['message']['case']): boolean {
    return this.heard.some((message) => message.case === kind)
  }
}

async function openSessions(t: TestContext) {
  const cluster = await openCluster(t)
  await cluster.put('node', { 'node-a': nodeRecord('node-a') })
  const clock = new FakeClock()
  const liveNodes = new LiveNodes({ clock, onChange: () => undefined }, livenessDefaults)
  cleanUp(t, () => liveNodes.close())
  const observations = new ObservationWriter({
    state: cluster.state,
    clock,
    onError: (reason) => assert.fail(String(reason)),
    onStored: () => undefined,
  })
  cleanUp(t, () => observations.close())
  const sessions = new Sessions(
    {
      state: cluster.state,
      clock,
      liveNodes,
      observations,
      load: { isHigh: false },
      welcome: async (nodeId) => cluster.state.get('node', nodeId)!,
      onHeartbeat: () => undefined,
    },
    { coordinators: () => ['c:1'] },
  )
  cleanUp(t, () => sessions.close())
  const dial = async (instanceId = 'i-1', first?: NonNullable<Message>): Promise<FakeAgent> => {
    const agent = new FakeAgent()
    const value = create(HelloSchema, { nodeId: 'node-a', instanceId, runtimeReady: true })
    agent.say(first ?? { case: 'hello', value })
    void agent.listen(sessions.serve('node-a', agent, new AbortController().signal))
    await eventually(() => agent.has('assignments') || agent.ended !== undefined)
    return agent
  }
  const kind = () => liveNodes.get('node-a')?.liveness.kind
  return { ...cluster, clock, liveNodes, sessions, dial, kind }
}

const heartbeat = { case: 'heartbeat', value: { nodeId: 'node-a', sequence: 7n } } as const

test('hello is answered with welcome, then all assignments, then deltas', async (t) => {
  const { put, state, dial } = await openSessions(t)
  await put('replica', { 'web-1': readyReplica('web-1', 'node-a') })
  const agent = await dial()
  assert.deepEqual(
    agent.heard.map((m) => m.case),
    ['welcome', 'assignments'],
  )
  await state.write({ writes: [deleteRecord('replica', 'web-1')] })
  await eventually(() => agent.heard.length === 3)
  const delta = agent.heard[2]!
  assert.ok(delta.case === 'assignments' && !delta.value.full)
  assert.equal(delta.value.stop[0]!.replicaId, 'web-1')
})

test('heartbeats are acknowledged', async (t) => {
  const { dial } = await openSessions(t)
  const agent = await dial()
  agent.say(heartbeat)
  await eventually(() => agent.has('heartbeatAck'))
})

test('a stream that begins with anything but hello is refused', async (t) => {
  const { dial } = await openSessions(t)
  const agent = await dial('i-1', heartbeat)
  assert.equal((agent.ended!.error as { code: string }).code, 'invalid_argument')
})

test('hello in the name of another node is refused', async (t) => {
  const { dial } = await openSessions(t)
  const value = create(HelloSchema, { nodeId: 'node-b' })
  const agent = await dial('i-1', { case: 'hello', value })
  assert.equal((agent.ended!.error as { code: string }).code, 'permission_denied')
})

test('the same agent dialling again takes its old stream’s place, and is not told to go', async (t) => {
  const { dial, sessions, kind } = await openSessions(t)
  const before = await dial()
  const after = await dial()
  await eventually(() => before.ended !== undefined)
  assert.equal(before.has('evicted'), false)
  assert.equal(after.ended, undefined)
  assert.equal(sessions.size, 1)
  assert.equal(kind(), 'connected', 'the end of the old stream is no sign of trouble')
})

test('another agent with the same certificate takes over, and the first is told', async (t) => {
  const { dial } = await openSessions(t)
  const before = await dial('i-1')
  await dial('i-2')
  await eventually(() => before.ended !== undefined)
  const last = before.heard.at(-1)!
  assert.ok(last.case === 'evicted' && last.value.reason === 'superseded')
  assert.equal(last.value.elsewhere, false)
})

test('an agent of another machine with the same certificate takes over, and the first is told where', async (t) => {
  const { dial } = await openSessions(t)
  const before = await dial('i-1')
  const value = create(HelloSchema, { nodeId: 'node-a', instanceId: 'i-2', bootId: 'another' })
  await dial('i-2', { case: 'hello', value })
  await eventually(() => before.ended !== undefined)
  const last = before.heard.at(-1)!
  assert.ok(last.case === 'evicted' && last.value.elsewhere)
  assert.match(last.value.message, /from another machine/)
})

test('a hello that was said before the newest one is refused, however late it comes', async (t) => {
  const { dial, sessions } = await openSessions(t)
  const helloAt = (sinceBootMs: bigint, bootId = 'b-1') => {
    const value = { nodeId: 'node-a', instanceId: `i-${sinceBootMs}`, bootId, sinceBootMs }
    return { case: 'hello', value: create(HelloSchema, value) } as const
  }
  const now = await dial('', helloAt(2_000n))
  const late = await dial('', helloAt(1_999n))
  assert.equal((late.ended!.error as { code: string }).code, 'failed_precondition')
  assert.equal(now.ended, undefined)
  assert.equal(sessions.size, 1)
  await dial('', helloAt(5n, 'b-2'))
  await eventually(() => now.ended !== undefined)
})

test('a stream that breaks starts the grace; a goodbye does not', async (t) => {
  const { dial, kind } = await openSessions(t)
  const breaking = await dial()
  breaking.hangUp()
  await eventually(() => kind() === 'reset')
  const leaving = await dial()
  leaving.say({ case: 'goodbye', value: { expectedBackMs: 60_000n } })
  await eventually(() => leaving.ended !== undefined)
  assert.equal(kind(), 'leaving')
})

test('a node that was silent too long and is heard again on the same stream has to dial anew', async (t) => {
  const { dial, clock, kind } = await openSessions(t)
  const agent = await dial()
  await clock.pass(livenessDefaults.heartbeatTimeoutMsMax, 500)
  assert.equal(kind(), 'lost')
  agent.say(heartbeat)
  await eventually(() => agent.ended !== undefined)
  assert.equal((agent.ended!.error as { code: string }).code, 'unavailable')
  await dial()
  assert.equal(kind(), 'connected')
})

test('an agent that never says hello is given up', async (t) => {
  const { sessions, clock } = await openSessions(t)
  const agent = new FakeAgent()
  void agent.listen(sessions.serve('node-a', agent, new AbortController().signal))
  await clock.pass(10_100)
  await eventually(() => agent.ended !== undefined)
  assert.equal((agent.ended!.error as { code: string }).code, 'deadline_exceeded')
})
