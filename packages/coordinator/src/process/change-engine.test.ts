import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromConnectError } from '@cloudless/api'
import { runCoordinatorHere } from '../testing/running-coordinator.ts'

const refusal = (call: Promise<unknown>) =>
  call.then(
    () => assert.fail('it was not refused'),
    (reason: unknown) => fromConnectError(reason),
  )

test('without an etcd a promotion is refused before anything is begun', async (t) => {
  const { client } = await runCoordinatorHere(t, { flags: ['--etcd-binary', '/nowhere/etcd'] })
  const { code, message } = await refusal(client.promoteCluster({}))
  assert.equal(code, 'failed_precondition')
  assert.match(message, /\/nowhere\/etcd/)
  assert.equal((await client.getClusterStatus({})).metadataEngine, 'sqlite')
})

test('what is for several coordinators says of the only one what it is', async (t) => {
  const { client } = await runCoordinatorHere(t)
  for (const call of [
    client.demoteCluster({}),
    client.transferLeadership({}),
    client.removeCoordinator({ coordinatorId: 'coordinator-2' }),
  ]) {
    const { code, message } = await refusal(call)
    assert.equal(code, 'failed_precondition')
    assert.match(message, /one coordinator, which keeps its metadata in SQLite/)
  }
  const { coordinators } = await client.listCoordinators({})
  assert.deepEqual(
    coordinators.map(({ id, isLeader, problem }) => [id, isLeader, problem]),
    [['coordinator-1', true, '']],
  )
})
