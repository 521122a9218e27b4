/** Machines whose clock is an hour off: they work all the same, and it is said. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import {
  applyWorkload,
  startCluster,
  waitFor,
  waitForReady,
  type AgentOnHost,
  type Cluster,
} from '@cloudless/test/testkit'

let cluster: Cluster

before(async () => {
  cluster = await startCluster({
    prefix: 'tclock',
    subnet: '10.80.33',
    agents: [],
    // To see it renewed: two of three parts of its life, whatever the agent's clock says.
    coordinatorConfig: { tls: { node_certificate_ttl: '9s' } },
  })
})

after(() => cluster?.stop())

async function startWithClock(name: string, offset: string): Promise<AgentOnHost> {
  const agent = await cluster.addAgent({ name, cpuCores: 2, memoryMb: 1024 }, { start: false })
  await agent.start(await cluster.createToken(['--ttl', '10m']), clockOff(offset))
  return agent
}

/** For the agent alone: the machine's own clock is everybody's. Its steady clock goes on as it does. */
function clockOff(offset: string): NodeJS.ProcessEnv {
  const [library = ''] = globSync('/usr/lib/*/faketime/libfaketime.so.1')
  return { LD_PRELOAD: library, FAKETIME: offset, FAKETIME_DONT_FAKE_MONOTONIC: '1' }
}

for (const [name, offset] of [
  ['ahead', '+3600s'],
  ['behind', '-3600s'],
] as const) {
  test(`a machine an hour ${name} joins, runs what it is given, renews its certificate, and says so`, async () => {
    const agent = await startWithClock(name, offset)
    await cluster.waitForPhase(name, 'READY')
    const spec = { placement: { node_selector: { 'cloudless.io/node': name } } }
    await applyWorkload(cluster, { name: `on-${name}`, replicas: 2, spec })
    const before = await waitForReady(cluster, `on-${name}`, 2)
    const described = await cluster.ctl.text(['node', 'describe', name])
    assert.match(described, new RegExp(`its clock is (1h|59m\\d+s) ${name}.* the coordinator's`))
    assert.equal(described.match(/ClockSkew/g)?.length, 1)

    const log = (): string => readFileSync(agent.log, 'utf8')
    await waitFor(() => (log().match(/certificate was renewed/g)?.length ?? 0) >= 2, {
      what: 'two renewals',
      deadlineMs: 30_000,
      describe: () => log().slice(-2000),
    })
    const events = await cluster.ctl.text(['events', '--resource', 'node', '--tail', '50'])
    assert.doesNotMatch(events, new RegExp(`"${name}" is lost`))
    const after = await waitForReady(cluster, `on-${name}`, 2)
    const ids = (replicas: typeof after): string[] => replicas.map(({ id }) => id).toSorted()
    assert.deepEqual(ids(after), ids(before))
  })
}
