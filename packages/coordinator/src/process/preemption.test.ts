/** Room that is made for a replica of a high priority, as the whole coordinator tells of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sleep, systemClock } from '@cloudless/base'
import { eventually } from '../testing/cluster.ts'
import { runCoordinatorHere } from '../testing/running-coordinator.ts'
import { joinCluster } from '../testing/talking-agent.ts'

const workload = (name: string, replicas: number, cpuMillicores: number, priority: number) => ({
  name,
  spec: {
    image: name,
    replicas,
    priority,
    resources: { requests: { cpuMillicores, memoryBytes: 1n << 20n } },
    rollout: { minAvailable: 0 },
  },
})

test('victims are told to stop, and events and figures tell who made room for whom', async (t) => {
  const coordinator = await runCoordinatorHere(t)
  const { client } = coordinator
  const agent = await joinCluster(t, coordinator, 'one')
  await client.createWorkload({ workload: workload('low', 2, 2_000, 10) })
  await eventually(() => agent.assignments.size === 2)
  const victims = [...agent.assignments.keys()].sort()
  for (const id of victims) agent.observe(id)
  await client.createWorkload({ workload: workload('high', 1, 3_000, 200) })
  await eventually(() => victims.every((id) => !agent.assignments.has(id)))
  const [preemptor] = (await client.listReplicas({ workloadId: 'high' })).replicas
  assert.equal(preemptor!.nominatedNodeId, agent.nodeId)
  assert.equal(preemptor!.reason, 'Preempting')
  assert.match(preemptor!.message, /^waits for room on node "one", for which it stops low-/)

  for (const id of victims) agent.observe(id, { removed: true })
  await eventually(() => agent.assignments.has(preemptor!.id))
  const filter = { types: ['scheduling.preempted'] }
  const told = async (): Promise<string[]> =>
    (await client.listEvents({ filter })).events.map(({ description }) => description).sort()
  while ((await told()).length < 3) await sleep(systemClock, 20)
  assert.deepEqual(await told(), [
    `replica ${preemptor!.id} of "high" gets room on node "one": ${victims.join(', ')} being stopped for it`,
    ...victims.map((id) => `replica ${id} of "low" makes room for ${preemptor!.id} of "high"`),
  ])
  const figures = await coordinator.figures()
  assert.equal(figures.get('scheduling_preemptions_total'), 2)
})
