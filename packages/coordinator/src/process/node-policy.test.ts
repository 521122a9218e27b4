/** What nodes let containers have, from what they say of it to where replicas go, through the whole coordinator. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { NodePolicySchema, type WorkloadSpecSchema } from '@cloudless/api'
import { sleep, systemClock } from '@cloudless/base'
import { eventually } from '../testing/cluster.ts'
import { runCoordinatorHere } from '../testing/running-coordinator.ts'
import { joinCluster, type TalkingAgent } from '../testing/talking-agent.ts'

type Policy = MessageInitShape<typeof NodePolicySchema>

const usual: Policy = { runtimeClasses: ['runc'], volumeSources: ['emptyDir', 'hostPath'] }
const allowsPrivileged: Policy = { ...usual, allowPrivileged: true }
const privileged = { securityContext: { privileged: true } }
const data = {
  volumes: [{ name: 'data', source: 'hostPath', mountPath: '/data', options: { path: '/data/x' } }],
}

/** A cluster whose operator allows everything that is asked for here; its nodes are stricter. */
async function start(t: TestContext, policies: Readonly<Record<string, Policy | undefined>>) {
  const coordinator = await runCoordinatorHere(t, {
    flags: ['--policy-allow-privileged', '--policy-host-path-prefixes', '/data'],
  })
  const { client } = coordinator
  const agents: Record<string, TalkingAgent> = {}
  for (const [name, policy] of Object.entries(policies)) {
    const says = policy === undefined ? {} : { capabilities: { policy } }
    agents[name] = await joinCluster(t, coordinator, name, undefined, says)
  }
  return {
    client,
    agents,
    run: (name: string, replicas: number, spec: MessageInitShape<typeof WorkloadSpecSchema>) =>
      client.createWorkload({ workload: { name, spec: { image: name, replicas, ...spec } } }),
    counts: () => Object.values(agents).map(({ assignments }) => assignments.size),
    verdictsOf: async (workloadId: string) => {
      const { replicas } = await client.explainWorkload({ workloadId })
      return replicas[0]!.verdicts.map(({ nodeName, filter, reason }) => [nodeName, filter, reason])
    },
  }
}

test('privileged replicas go where they are allowed, however much is free elsewhere', async (t) => {
  const { run, counts, verdictsOf } = await start(t, { strict: usual, open: allowsPrivileged })
  await run('driver', 3, privileged)
  await eventually(() => counts()[1] === 3, counts)
  assert.deepEqual(counts(), [0, 3])
  const [strict] = (await verdictsOf('driver')).filter(([name]) => name === 'strict')
  assert.deepEqual(strict, ['strict', 'policy', 'privileged containers not allowed'])
})

test('a node that does not say what it allows is tried', async (t) => {
  const { run, counts } = await start(t, { strict: usual, old: undefined })
  await run('driver', 2, privileged)
  await eventually(() => counts()[1] === 2, counts)
  assert.deepEqual(counts(), [0, 2])
})

test('what no node allows waits and says so, until one comes back that does', async (t) => {
  const { client, agents, run, counts, verdictsOf } = await start(t, { one: usual, two: usual })
  await run('db', 1, data)
  const whyWaiting = async (): Promise<string> => {
    const { replicas } = await client.listReplicas({ workloadId: 'db' })
    return replicas[0]?.message ?? ''
  }
  const until = systemClock.monotonicMs() + 5_000
  while ((await whyWaiting()) === '' && systemClock.monotonicMs() < until) {
    await sleep(systemClock, 20)
  }
  assert.match(await whyWaiting(), /0 of 2 nodes: 2 host path \/data\/x not allowed/)
  assert.deepEqual(
    (await verdictsOf('db')).map(([, ...verdict]) => verdict),
    [
      ['policy', 'host path /data/x not allowed'],
      ['policy', 'host path /data/x not allowed'],
    ],
  )
  assert.deepEqual(counts(), [0, 0])

  const policy = create(NodePolicySchema, { ...usual, hostPathPrefixes: ['/data/'] })
  const { nodeId } = agents['two']!
  const capabilities = { policy }
  agents['two']!.send({ case: 'heartbeat', value: { nodeId, sequence: 1_000n, capabilities } })
  await eventually(() => counts()[1] === 1, counts)
  assert.deepEqual(counts(), [0, 1])
  const node = await client.getNode({ nodeId: 'two' })
  assert.deepEqual(node.capabilities?.policy, policy)
})
