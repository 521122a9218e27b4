/** Who gets in, who does not, and what each is told. */
import assert from 'node:assert/strict'
import { cpSync, readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import {
  applyWorkload,
  runningContainers,
  startCluster,
  waitFor,
  waitForReady,
  type AgentOnHost,
  type Cluster,
} from '@cloudless/test/testkit'

let cluster: Cluster

before(async () => {
  cluster = await startCluster({
    prefix: 'tenrol',
    subnet: '10.80.2',
    agents: [{ name: 'first' }],
  })
})

after(() => cluster?.stop())

/** The agent says the reason and ends; it does not go on trying what cannot succeed. */
async function assertRefused(agent: AgentOnHost, reason: RegExp): Promise<void> {
  await waitFor(() => reason.test(readFileSync(agent.log, 'utf8')), {
    what: `the refusal of ${agent.name}`,
    describe: () => readFileSync(agent.log, 'utf8').slice(-2000),
  })
  await waitFor(() => agent.process() === undefined, { what: `the end of ${agent.name}` })
  assert.ok(!(await cluster.nodes()).some(({ name }) => name === agent.name))
}

test('a token works once, and says afterwards that it is used up', async () => {
  const token = await cluster.createToken()
  const one = await cluster.addAgent({ name: 'one' }, { start: false })
  await one.start(token)
  await cluster.waitForPhase('one', 'READY')
  const two = await cluster.addAgent({ name: 'two' }, { start: false })
  await two.start(token)
  await assertRefused(two, /used/)
  await two.start(await cluster.createToken())
  await cluster.waitForPhase('two', 'READY')
})

test('a token that has run out is refused with that reason', async () => {
  const token = await cluster.createToken(['--ttl', '1s'])
  await waitFor(async () => /expired/i.test(await cluster.ctl.text(['token', 'list'])), {
    what: 'the token to run out',
  })
  const late = await cluster.addAgent({ name: 'late' }, { start: false })
  await late.start(token)
  await assertRefused(late, /expired/)
})

test('a revoked token is refused with that reason', async () => {
  const made = await cluster.ctl.json<{ token: string; joinToken: { id: string } }>([
    'token',
    'create',
  ])
  await cluster.ctl.text(['token', 'revoke', made.joinToken.id])
  const unwanted = await cluster.addAgent({ name: 'unwanted' }, { start: false })
  await unwanted.start(made.token)
  await assertRefused(unwanted, /revoked/)
})

test('a second device of the same name is refused, and the first is not disturbed', async () => {
  const double = await cluster.addAgent({ name: 'double' }, { start: false })
  const token = await cluster.createToken()
  await double.host.startTask('agent', claimingName(double, 'first', token), { log: double.log })
  await waitFor(() => /already|taken/.test(readFileSync(double.log, 'utf8')), {
    what: 'the refusal',
    describe: () => readFileSync(double.log, 'utf8').slice(-2000),
  })
  await cluster.waitForPhase('first', 'READY')
})

test('a token for another name is refused', async () => {
  const token = await cluster.createToken(['--node', 'somebody-else'])
  const wrong = await cluster.addAgent({ name: 'wrong' }, { start: false })
  await wrong.start(token)
  await assertRefused(wrong, /somebody-else/)
})

test('an agent that is killed right after it was started enrols when started again, with the same token', async () => {
  const token = await cluster.createToken()
  const clumsy = await cluster.addAgent({ name: 'clumsy' }, { start: false })
  for (const aliveMs of [0, 150, 300, 450]) {
    await clumsy.start(token)
    await clumsy.host.run(['sleep', String(aliveMs / 1000)])
    await clumsy.kill()
  }
  await clumsy.start(token)
  await cluster.waitForPhase('clumsy', 'READY')
  const uses = (await cluster.nodes()).filter(({ name }) => name === 'clumsy')
  assert.equal(uses.length, 1)
})

test('a copied disk on a second machine takes the node over; the first says so, ends and runs nothing on', async () => {
  const original = await cluster.addAgent({ name: 'original' })
  await applyWorkload(cluster, {
    name: 'only-once',
    spec: { placement: { node_selector: { 'cloudless.io/node': 'original' } } },
  })
  const [replica] = await waitForReady(cluster, 'only-once', 1)
  const twin = await cluster.addAgent({ name: 'twin' }, { start: false })
  cpSync(original.dataDirectory, twin.dataDirectory, { recursive: true })
  await twin.host.startTask('agent', claimingName(twin, 'original', ''), { log: twin.log })
  await waitFor(() => original.process() === undefined, {
    what: 'the end of the first',
    describe: () => readFileSync(original.log, 'utf8').slice(-2000),
  })
  assert.match(readFileSync(original.log, 'utf8'), /another machine/)
  assert.deepEqual(await runningContainers(cluster, 'original'), [])
  await waitFor(async () => (await runningContainers(cluster, 'twin')).join() === replica!.id, {
    what: 'the replica to run on the second, alone',
    deadlineMs: 20_000,
  })
})

/** An agent on one host that claims the name of another node. */
function claimingName(agent: AgentOnHost, name: string, token: string): string[] {
  return [
    agent.program,
    ...['--data-dir', agent.dataDirectory, '--coordinator-addr', cluster.address],
    ...['--node-name', name, ...(token === '' ? [] : ['--join-token', token])],
  ]
}
