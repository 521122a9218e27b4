/** Every verb against a coordinator that remembers what it was told. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { DrainStatusSchema, MassLossStatusSchema, NodePhase, ReplicaState } from '@cloudless/api'
import { systemClock } from '@cloudless/base'
import { aNode, anEvent, aReplica, aToken, aWorkload } from './testing/fake-state.ts'
import { FakeIo } from './testing/fake-io.ts'
import { startHarness, type Harness } from './testing/harness.ts'

async function cluster(t: TestContext): Promise<Harness> {
  const harness = await startHarness(t)
  const { state } = harness
  state.nodes.push(aNode({ name: 'a' }), aNode({ name: 'b', zone: 'zone-b' }), aNode({ name: 'c' }))
  const web = aWorkload({ name: 'web' })
  state.workloads.push(web, aWorkload({ name: 'api', namespace: 'prod' }))
  state.replicas.push(
    aReplica(web, 'one'),
    aReplica(web, 'two', {
      nodeId: '',
      nodeName: '',
      state: ReplicaState.PENDING,
      ready: false,
      address: '',
      pendingReasons: [
        { reason: 'not enough memory', nodeCount: 2 },
        { reason: 'tainted', nodeCount: 1 },
      ],
    }),
  )
  return harness
}

test('node list draws a table with a total', async (t) => {
  const { cli } = await cluster(t)
  const { code, out, err } = await cli('node list')
  assert.equal(err, '')
  assert.equal(code, 0)
  assert.match(
    out,
    /│ NAME .*│ ID .*│ REGION .*│ ZONE .*│ STATUS .*│ CPU .*│ MEMORY .*│ RELIABILITY/,
  )
  assert.match(out, /│ a .*│ READY .*│ 250\/2000 .*│ 512\/2048 .*│ 0\.99 .*│ 1h/)
  assert.match(out, /\nTotal: 3 nodes\n$/)
})

test('a list fetches every page', async (t) => {
  const { cli, state } = await cluster(t)
  state.pageMax = 1
  const { out } = await cli('node list -o name')
  assert.equal(out, 'node/a\nnode/b\nnode/c\n')
  assert.equal(state.calls.filter(({ method }) => method === 'ListNodes').length, 3)
})

test('json and yaml lists are objects with items in the field names of the API', async (t) => {
  const { cli } = await cluster(t)
  const json = JSON.parse((await cli('get nodes -o json')).out)
  assert.deepEqual(Object.keys(json), ['items'])
  assert.equal(json.items[0].status.phase, 'NODE_PHASE_READY')
  assert.equal(json.items[0].reliabilityScore, 0.987)
  assert.equal(json.items[0].replicaCount, 0)
  const yaml = await cli('node list -z zone-b -o yaml')
  assert.match(yaml.out, /^items:\n {2}- id: node-b\n {4}name: b\n/)
})

test('get with json prints the thing itself', async (t) => {
  const { cli } = await cluster(t)
  assert.equal(JSON.parse((await cli('workload get web -o json')).out).status.readyReplicas, 2)
  assert.equal(JSON.parse((await cli('get node node-a -o json')).out).name, 'a')
})

test('--no-headers leaves bare rows for scripts', async (t) => {
  const { cli } = await cluster(t)
  const { out } = await cli('node list --no-headers')
  assert.match(out, /^a {2}node-a {2}home/)
  assert.doesNotMatch(out, /Total|NAME|│/)
})

test('a list shows the namespace it is asked for', async (t) => {
  const { cli } = await cluster(t)
  assert.equal((await cli('workload list -o name')).out, 'workload/web\n')
  assert.equal((await cli('-n prod get wl -o name')).out, 'workload/api\n')
  assert.equal((await cli('get workloads -A -o name')).out, 'workload/web\nworkload/api\n')
  assert.equal((await cli('wl ls --context other --coordinator x', {})).code, 5)
})

test('a replica that waits says how many nodes refused it and why', async (t) => {
  const { cli } = await cluster(t)
  const why = /0 of 3 nodes: 2 not enough memory, 1 tainted/
  assert.match((await cli('workload replicas web')).out, why)
  assert.match((await cli('describe workload web')).out, why)
  const status = await cli('workload status web')
  assert.match(status.out, /workload web: 1 of 2 replicas ready/)
  assert.match(status.out, why)
  assert.equal(status.code, 1)
})

test('node describe says what its reliability is made of, and how its silence is judged', async (t) => {
  const { cli, state } = await cluster(t)
  const index = state.nodes.findIndex(({ name }) => name === 'a')
  const parts = { uptime: 0.95, response: 1, success: 1, capacity: 0.8, stability: 0.7 }
  const history = { availability: 0.953, lossesPerWeek: 2.5, lastLostAtMs: 1n }
  state.nodes[index] = aNode({
    name: 'a',
    reliabilityScore: 0.62,
    reliability: { ...parts, ...history, penalty: 0.1, youthFactor: 0.8, band: 'fair' },
    detection: { intervalMs: 512, deviationMs: 12, limitMs: 1_400, phi: 0 },
  })
  const { out } = await cli('node describe a')
  assert.match(out, /uptime +0\.30 +0\.95 +member for [^,]+, there 95\.3% of the time\n/)
  assert.match(out, /stability +0\.15 +0\.70 +2\.5 losses a week, last .* ago\n/)
  assert.match(out, /penalty +-0\.10 +taints, no public address\n/)
  assert.match(out, /youth +x 0\.80 /)
  assert.match(out, /score 0\.62: fair\n/)
  assert.match(out, /Heard: +every 512 ms, give or take 12 ms\n +Lost after: +1\.4s of silence\n/)
  assert.match(out, /Suspicion now: +none\n/)
})

test('node describe shows capacity, replicas and events', async (t) => {
  const { cli, state } = await cluster(t)
  state.events.push(anEvent({ sequence: 1n }))
  const { out } = await cli('node describe a')
  assert.match(out, /Name: +a\n/)
  assert.match(out, /cpu +2000m +1800m/)
  assert.match(out, /web-one +default +RUNNING +yes/)
  assert.match(out, /node\.enrolled +node a joined/)
})

test('node verbs call their method with the node named', async (t) => {
  const { cli, state } = await cluster(t)
  for (const [line, method, sentence] of [
    ['node drain a', 'DrainNode', 'node a draining, 0 replicas on it\n'],
    ['drain node a --graceful=false', 'DrainNode', 'node a draining, 0 replicas on it\n'],
    ['node cordon a', 'CordonNode', 'node a cordoned\n'],
    ['uncordon a', 'UncordonNode', 'node a uncordoned\n'],
    ['node label a disk=ssd old-', 'UpdateNode', 'node a labelled\n'],
    ['node taint a gpu=yes:NoSchedule old-', 'UpdateNode', 'node a tainted\n'],
    ['delete node a', 'RemoveNode', 'node a removed\n'],
  ] as const) {
    const { code, out, err } = await cli(line)
    assert.deepEqual([code, out, err], [0, sentence, ''], line)
    assert.equal(state.calls.at(-1)?.method, method)
  }
  const drains = state.calls.filter(({ method }) => method === 'DrainNode')
  assert.deepEqual(
    drains.map(({ request }) => (request as { graceful: boolean }).graceful),
    [true, false],
  )
  const [label, taint] = state.calls
    .filter(({ method }) => method === 'UpdateNode')
    .map(
      ({ request }) =>
        request as { setLabels: object; removeTaints: string[]; setTaints: { effect: string }[] },
    )
  assert.deepEqual({ ...label?.setLabels }, { disk: 'ssd' })
  assert.equal(taint?.setTaints[0]?.effect, 'NoSchedule')
  assert.deepEqual(taint?.removeTaints, ['old'])
})

test('node remove is refused with the reason while replicas are on it', async (t) => {
  const { cli, state } = await cluster(t)
  state.nodes[0]!.replicaCount = 2
  const refused = await cli('node remove a')
  assert.deepEqual([refused.code, refused.err], [1, 'Node a still has 2 replicas.\n'])
  assert.equal((await cli('node remove a --force')).code, 0)
})

test('node drain --wait ends when the last replica has left', async (t) => {
  const { start, state } = await cluster(t)
  state.nodes[0] = aNode({ name: 'a', replicaCount: 2, status: { phase: NodePhase.DRAINING } })
  const { io, done } = start('node drain a --wait')
  await io.until(({ errText }) => errText.includes('2 replicas left'))
  state.nodes[0] = aNode({ name: 'a', replicaCount: 0 })
  state.changes.emit('change')
  assert.equal(await done, 0)
  assert.match(io.errText, /Done after/)
})

test('node drain --wait shows each replica that is left and why, and takes nodes one after another', async (t) => {
  const { start, state } = await cluster(t)
  const drain = create(DrainStatusSchema, {
    ...{ total: 3, left: 2, daemons: 1 },
    waiting: ['web-1: its replacement web-9 is starting on b', 'db-1: is being stopped'],
  })
  state.nodes[0] = aNode({ name: 'a', replicaCount: 3, drain })
  const { io, done } = start('node drain a b --wait --force')
  await io.until(({ errText }) => errText.includes('db-1: is being stopped'))
  assert.match(io.errText, /2 replicas left of 3, besides 1 daemon/)
  assert.match(io.errText, /^ {2}web-1: its replacement web-9 is starting on b$/m)
  const drained = () =>
    state.calls
      .filter(({ method }) => method === 'DrainNode')
      .map(({ request }) => request as { nodeId: string; force: boolean })
  assert.deepEqual(
    drained().map(({ nodeId, force }) => [nodeId, force]),
    [['a', true]],
  )
  const empty = create(DrainStatusSchema, { total: 3, left: 0, daemons: 1 })
  state.nodes[0] = aNode({ name: 'a', replicaCount: 1, drain: empty })
  state.changes.emit('change')
  assert.equal(await done, 0)
  assert.deepEqual(
    drained().map(({ nodeId }) => nodeId),
    ['a', 'b'],
  )
})

test('workload create makes a workload from flags', async (t) => {
  const { cli, state } = await cluster(t)
  const { out, code, err } = await cli(
    'workload create job --image busybox --replicas 3 --env A=1,B=2 --env C=x=y --port 53/udp --memory 64Mi --cpu 0.25',
  )
  assert.deepEqual([code, err], [0, ''])
  assert.equal(out, 'workload job created (id default-job)\n')
  const stored = state.workloads.at(-1)!
  assert.equal(stored.spec?.replicas, 3)
  assert.deepEqual({ ...stored.spec?.env }, { A: '1', B: '2', C: 'x=y' })
  assert.equal(stored.spec?.ports[0]?.protocol, 'UDP')
  assert.equal(stored.spec?.resources?.limits?.cpuMillicores, 250)
  assert.equal(stored.spec?.resources?.limits?.memoryBytes, 67_108_864n)
  const again = await cli('workload create job --image busybox')
  assert.deepEqual([again.code, again.err], [1, 'There already is a workload "job".\n'])
})

test('workload create --dry-run changes nothing', async (t) => {
  const { cli, state } = await cluster(t)
  const before = state.workloads.length
  assert.match((await cli('workload create job --image x --dry-run')).out, /dry run/)
  assert.equal(state.workloads.length, before)
})

test('workload update changes only what the flags name', async (t) => {
  const { cli, state } = await cluster(t)
  assert.equal((await cli('workload update web --image nginx:2 --env A=1')).code, 0)
  const { spec, resourceVersion } = state.workloads[0]!
  assert.deepEqual([spec?.image, spec?.replicas, spec?.env['A']], ['nginx:2', 2, '1'])
  assert.equal(resourceVersion, 7n)
  assert.equal((await cli('workload update web')).code, 2)
})

test('workload scale and restart name the workload and its namespace', async (t) => {
  const { cli, state } = await cluster(t)
  assert.equal((await cli('scale workload web --replicas 5')).out, 'workload web scaled to 5\n')
  assert.equal(state.workloads[0]?.spec?.replicas, 5)
  assert.equal((await cli('restart api -n prod')).out, 'workload prod/api restarting\n')
  assert.equal((await cli('scale web')).code, 2)
})

test('workload delete --wait ends when the workload is gone', async (t) => {
  const { cli, state } = await cluster(t)
  const { code, out } = await cli('delete workload web --wait')
  assert.deepEqual([code, out], [0, 'workload web deleted\n'])
  assert.ok(state.workloads.every(({ name }) => name !== 'web'))
  assert.equal((await cli('workload delete web')).code, 3)
  assert.equal((await cli('workload delete web --ignore-not-found')).code, 0)
})

test('tokens are made, listed without their secret, and revoked', async (t) => {
  const { cli, state } = await cluster(t)
  const made = await cli('token create --ttl 2h --max-uses 3 --zone home')
  assert.equal(made.out, 'header.claims.signature\n')
  assert.match(made.err, /jt-abcdefgh2345 for zone home, good 3 times within (2h|1h59m)/)
  assert.equal((await cli('token create -q')).out, 'header.claims.signature\n')
  assert.equal(JSON.parse((await cli('token create -o json')).out).token, 'header.claims.signature')
  const list = await cli('token list')
  assert.match(list.out, /usable/)
  assert.doesNotMatch(list.out, /signature/)
  assert.equal((await cli('token revoke jt-abcdefgh2345')).out, 'token jt-abcdefgh2345 revoked\n')
  assert.equal(state.tokens[0]?.revoked, true)
  state.tokens.push(aToken({ id: 'jt-old', expiresAtMs: 1n }))
  assert.match((await cli('get tokens')).out, /jt-old .*expired/)
})

test('cluster status says what is held back while many nodes are away', async (t) => {
  const { cli, state } = await cluster(t)
  const nowMs = systemClock.wallMs()
  state.massLoss = create(MassLossStatusSchema, {
    vanished: 20,
    held: 19,
    sinceMs: BigInt(nowMs - 60_000),
    untilMs: BigInt(nowMs + 239_900),
  })
  const { out } = await cli('cluster status')
  assert.match(
    out,
    /Mass loss: +20 nodes vanished together .* ago: what 19 of them ran is .* in 4m at/,
  )
})

test('cluster status shows nodes, replicas and what waits', async (t) => {
  const { cli } = await cluster(t)
  const { out } = await cli('cluster status')
  assert.match(out, /Nodes: +3 \(3 READY\)/)
  assert.match(out, /Replicas: +2 of 3 ready/)
  assert.match(out, /Waiting for a place: +1/)
})

test('events are filtered, and cut to the newest', async (t) => {
  const { cli, state } = await cluster(t)
  for (let n = 1n; n <= 5n; n++)
    state.events.push(anEvent({ sequence: n, description: `event ${n}` }))
  state.events.push(anEvent({ sequence: 6n, type: 'workload.created' }))
  assert.equal(
    (await cli(['events', '--type', 'node.*', '--tail', '2', '-o', 'name'])).out,
    'event/4\nevent/5\n',
  )
  assert.match((await cli('get events')).out, /Total: 6 events/)
  assert.equal((await cli('events --since yesterday')).code, 2)
})

test('events --watch goes on after the connection broke, missing and repeating none', async (t) => {
  const { start, state, cutConnections } = await cluster(t)
  state.events.push(anEvent({ sequence: 1n }), anEvent({ sequence: 2n }))
  const { io, done, interrupt } = start('events --watch -o name')
  await io.until(({ outText }) => outText.includes('event/2'))
  cutConnections()
  state.events.push(anEvent({ sequence: 3n }))
  await io.until(({ outText }) => outText.includes('event/3'))
  interrupt()
  assert.equal(await done, 130)
  assert.equal(io.outText, 'event/1\nevent/2\nevent/3\n')
  assert.match(io.errText, /^The connection to the coordinator broke: .*[^n]\. Trying again\.\n$/)
})

test('node list --watch prints a line per change into a pipe', async (t) => {
  const { start, state } = await cluster(t)
  const { io, done, interrupt } = start('node list --watch')
  await io.until(({ outText }) => /ADDED +c /.test(outText))
  state.nodes[0] = aNode({ name: 'a', status: { phase: NodePhase.OFFLINE } })
  state.nodes.pop()
  state.changes.emit('change')
  await io.until(
    ({ outText }) => /MODIFIED +a .*OFFLINE/.test(outText) && /DELETED +c /.test(outText),
  )
  interrupt()
  assert.equal(await done, 130)
})

test('node list --watch redraws the table on a terminal', async (t) => {
  const { start, state } = await cluster(t)
  const { io, interrupt, done } = start('node list --watch', { io: new FakeIo({ terminal: true }) })
  await io.until(({ outText }) => outText.includes('Total: 3 nodes'))
  state.nodes.pop()
  state.changes.emit('change')
  await io.until(({ outText }) => outText.includes('Total: 2 nodes'))
  assert.ok(io.outText.includes('\u001b['), 'the cursor goes back up')
  interrupt()
  await done
})

test('container and image verbs ask the node', async (t) => {
  const { cli } = await cluster(t)
  assert.match((await cli('container list --node a')).out, /web-one .*running/)
  const away = await cli('container list --node b')
  assert.deepEqual([away.code, away.err], [5, 'Node b is not connected.\n'])
  assert.equal((await cli('container list')).code, 2)
  assert.match((await cli('container stats --node a')).out, /web-one .*1Mi/)
  assert.equal(
    (await cli('container run try --node a --image x -- sleep 1')).out,
    'container hand-try runs on a\n',
  )
  assert.match((await cli('container stop try')).out, /stopped with exit code 143/)
  assert.match((await cli('image list --node a')).out, /nginx:1\.25/)
  const pulled = await cli('image pull nginx --node a')
  assert.equal(pulled.out, 'image nginx is on a: sha256:of-nginx\n')
  assert.match(pulled.err, /resolving\ndownloading/)
})
