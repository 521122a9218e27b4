/** The stream of events of the whole coordinator: what is decided is told, is kept, and can be picked out. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { ReplicaState, type Event } from '@cloudless/api'
import { sleep, systemClock } from '@cloudless/base'
import { createKey, createCsr } from '@cloudless/identity'
import { createClient } from '@connectrpc/connect'
import { CoordinatorService } from '@cloudless/api'
import { credentialsFor, transportTo } from '../server/testing.ts'
import { eventually } from '../testing/cluster.ts'
import { runCoordinatorHere, type RunningCoordinator } from '../testing/running-coordinator.ts'
import { joinCluster } from '../testing/talking-agent.ts'

const spec = { image: 'web', replicas: 1, resources: { requests: { cpuMillicores: 100 } } }

/** All there are of these types. */
async function told(coordinator: RunningCoordinator, ...types: string[]): Promise<Event[]> {
  const { events } = await coordinator.client.listEvents({ filter: { types }, limit: 1_000 })
  return events
}

/** Waits until each type has been told. */
async function untilTold(coordinator: RunningCoordinator, types: readonly string[]) {
  const endMs = systemClock.monotonicMs() + 8_000
  for (;;) {
    const all = await told(coordinator)
    const missing = types.filter((type) => !all.some((event) => event.type === type))
    if (missing.length === 0) return all
    if (systemClock.monotonicMs() > endMs) {
      assert.fail(`${missing.join()} not in ${[...new Set(all.map((e) => e.type))].join()}`)
    }
    await sleep(systemClock, 30)
  }
}

/** The life of a node and a workload, with everything that is told of them. */
async function live(t: TestContext, coordinator: RunningCoordinator): Promise<void> {
  const { client } = coordinator
  const one = await joinCluster(t, coordinator, 'one')
  await client.createWorkload({ workload: { name: 'web', spec } })
  await eventually(() => one.assignments.size === 1)
  const [id] = one.assignments.keys()
  one.observe(id!, { ready: false })
  one.observe(id!)
  await untilTold(coordinator, ['workload.ready'])
  one.observe(id!, { ready: false, reason: 'ProbeFailed', message: 'readiness: refused' })
  await untilTold(coordinator, ['workload.degraded'])
  one.observe(id!, { restartCount: 1, reason: 'Error', message: 'exit code 1' })
  one.observe(id!, {
    state: ReplicaState.STARTING,
    ready: false,
    restartCount: 2,
    reason: 'CrashLoopBackOff',
    message: 'exit code 1',
  })
  await untilTold(coordinator, ['replica.crash_loop'])
  one.observe(id!, { state: ReplicaState.FAILED, ready: false, restartCount: 2, message: 'gone' })
  await untilTold(coordinator, ['workload.failed', 'replica.failed'])
  one.observe(id!)
  await client.scaleWorkload({ workloadId: 'web', replicas: 0 })
  await client.restartWorkload({ workloadId: 'web' })
  await client.updateWorkload({
    workload: { name: 'web', spec: { ...spec, image: 'web:2' } },
  })
  await client.cordonNode({ nodeId: 'one' })
  await client.createWorkload({ workload: { name: 'late', spec } })
  await untilTold(coordinator, ['scheduling.placement_failed'])
  await client.uncordonNode({ nodeId: 'one' })
  const late = () => [...one.assignments.values()].find((a) => a.workloadName === 'late')
  await eventually(() => late() !== undefined)
  one.observe(late()!.replicaId)
  await untilTold(coordinator, ['replica.ready'])
  one.cut()
  await untilTold(coordinator, ['node.offline', 'replica.lost'])
  const two = await joinCluster(t, coordinator, 'two')
  await eventually(() => two.assignments.size >= 1)
  await client.drainNode({ nodeId: 'two' })
  for (const name of ['web', 'late']) await client.deleteWorkload({ workloadId: name })
  await eventually(() => two.assignments.size === 0)
  for (const { id: replicaId } of (await client.listReplicas({})).replicas) {
    two.observe(replicaId, { removed: true, state: ReplicaState.STOPPED, ready: false })
  }
  await untilTold(coordinator, ['node.drained'])
  await client.updateNode({ nodeId: 'two', setLabels: { rack: 'a' } })
  await two.client.renewCertificate({ csrPem: await createCsr(await createKey()) })
  await client.removeNode({ nodeId: 'two', force: true })
}

const wanted = [
  ...['coordinator.started', 'coordinator.leader_elected'],
  ...['token.created', 'token.used', 'token.revoked'],
  ...['node.enrolled', 'node.ready', 'node.cordoned', 'node.uncordoned', 'node.offline'],
  ...['node.draining', 'node.drained', 'node.updated', 'node.renewed', 'node.removed'],
  ...['workload.created', 'workload.scheduled', 'workload.ready', 'workload.degraded'],
  ...['workload.failed', 'workload.scaled', 'workload.restarted', 'workload.updated'],
  ...['workload.deleted', 'replica.created', 'replica.started', 'replica.ready'],
  ...['replica.unready', 'replica.restarted', 'replica.crash_loop', 'replica.failed'],
  ...['replica.lost', 'replica.stopping', 'scheduling.decision', 'scheduling.placement_failed'],
  ...['scheduling.reschedule', 'security.auth_success', 'security.auth_failed'],
  ...['security.authz_denied', 'security.cert_issued', 'security.cert_revoked'],
  'security.policy_violation',
]

test('what membership, scheduling and security decide is told, and survives a restart', async (t) => {
  const first = await runCoordinatorHere(t, { flags: ['--membership-reset-grace', '50ms'] })
  await live(t, first)
  const { joinToken } = await first.client.createJoinToken({})
  await first.client.revokeJoinToken({ tokenId: joinToken!.id })
  const stranger = createClient(CoordinatorService, transportTo(t, first))
  await assert.rejects(stranger.listNodes({}), { message: /unauthenticated/ })
  const csrPem = await createCsr(await createKey())
  await assert.rejects(stranger.enrollNode({ token: 'x', nodeName: 'thief', csrPem }))
  const node = await credentialsFor(first.ca, 'node', 'node-none')
  await assert.rejects(createClient(CoordinatorService, transportTo(t, first, node)).listNodes({}))
  const workload = await credentialsFor(first.ca, 'workload', 'web')
  await assert.rejects(
    createClient(CoordinatorService, transportTo(t, first, workload)).listNodes({}),
    { message: /permission_denied/ },
  )
  const privileged = { ...spec, securityContext: { privileged: true } }
  await assert.rejects(
    first.client.createWorkload({ workload: { name: 'bad', spec: privileged } }),
    { message: /privileged/ },
  )
  const before = await untilTold(first, wanted)
  const violation = before.find(({ type }) => type === 'security.policy_violation')!
  assert.deepEqual(
    [violation.actorType, violation.actorId, violation.success, violation.severity],
    ['user', 'test', false, 'warning'],
  )
  assert.match(violation.error, /policy\.allow_privileged/)
  assert.equal((await told(first, 'security.authz_denied')).length, 1, 'and not told twice')
  for (const event of before) {
    assert.ok(event.id && event.description && event.actorId && event.resourceId, event.type)
  }
  await first.stop()

  const second = await runCoordinatorHere(t, { dataDirectory: first.dataDirectory })
  const after = await told(second)
  const numbersBefore = before.map(({ sequence }) => sequence)
  assert.deepEqual(
    after.slice(0, numbersBefore.length).map(({ sequence }) => sequence),
    numbersBefore,
  )
  assert.equal((await told(second, 'coordinator.stopped')).length, 1)
  assert.equal((await told(second, 'coordinator.started')).length, 2)
})

test('events can be picked by every filter, listed in pages, and watched', async (t) => {
  const coordinator = await runCoordinatorHere(t)
  const { client } = coordinator
  await joinCluster(t, coordinator, 'one')
  const headers = { 'x-correlation-id': 'corr-1' }
  await client.createWorkload({ workload: { name: 'a', namespace: 'team', spec } }, { headers })
  await client.createWorkload({ workload: { name: 'b', spec } })
  await untilTold(coordinator, ['scheduling.decision'])
  const pick = async (filter: object): Promise<Event[]> =>
    (await client.listEvents({ filter, limit: 1_000 })).events
  const created = await pick({ types: ['workload.created'] })
  assert.equal(created.length, 2)
  assert.ok((await pick({ types: ['node.*'] })).every(({ type }) => type.startsWith('node.')))
  assert.ok((await pick({ severities: ['warning'] })).every((e) => e.severity === 'warning'))
  assert.deepEqual(
    (await pick({ correlationId: 'corr-1' })).map(({ type }) => type),
    ['workload.created'],
  )
  assert.ok((await pick({ namespace: 'team' })).every((e) => e.namespace === 'team'))
  assert.ok((await pick({ actorId: 'test' })).length >= 2)
  assert.equal(
    (await pick({ resourceType: 'workload', resourceId: created[0]!.resourceId }))[0]!.type,
    'workload.created',
  )
  const atMs = created[1]!.timestampMs
  assert.ok((await pick({ sinceMs: atMs })).every((e) => e.timestampMs >= atMs))
  assert.ok((await pick({ untilMs: atMs })).every((e) => e.timestampMs < atMs))
  await assert.rejects(pick({ types: ['no.such'] }), { message: /invalid_argument.*no\.such/ })
  await assert.rejects(pick({ severities: ['loud'] }), { message: /invalid_argument.*loud/ })

  const all = await pick({})
  const paged: Event[] = []
  let continueToken = ''
  do {
    const page = await client.listEvents({ limit: 3, continueToken })
    assert.ok(page.events.length <= 3)
    paged.push(...page.events)
    continueToken = page.nextToken
  } while (continueToken !== '' && paged.length < all.length)
  assert.deepEqual(
    paged.map(({ sequence }) => sequence),
    all.slice(0, paged.length).map(({ sequence }) => sequence),
  )

  const watched: string[] = []
  const abort = new AbortController()
  const filter = { types: ['workload.*'] }
  const watch = (async () => {
    for await (const event of client.watchEvents({ filter, tail: 1 }, { signal: abort.signal })) {
      watched.push(event.type)
    }
  })().catch(() => undefined)
  await eventually(() => watched.length === 1)
  await client.deleteWorkload({ workloadId: 'b' })
  await eventually(() => watched.includes('workload.deleted'))
  abort.abort()
  await watch
})

test('only so many events are kept, the newest', async (t) => {
  const coordinator = await runCoordinatorHere(t, { flags: ['--observability-events-max', '100'] })
  for (let n = 0; n < 130; n++) await coordinator.client.createJoinToken({})
  const { events } = await coordinator.client.listEvents({ limit: 1_000 })
  assert.ok(events.length >= 100 && events.length < 130, String(events.length))
  assert.equal(events.at(-1)!.type, 'token.created')
})
