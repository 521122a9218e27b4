/** A change that is repeated with its key is answered as before and done once: on the real store, also after a restart. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { toJsonString, type DescMessage, type MessageShape } from '@bufbuild/protobuf'
import { CoordinatorService } from '@cloudless/api'
import { sleep, systemClock } from '@cloudless/base'
import { createCsr, createKey } from '@cloudless/identity'
import { createClient } from '@connectrpc/connect'
import { credentialsFor, fetchPath, transportTo } from '../server/testing.ts'
import { runCoordinatorHere, type RunningCoordinator } from '../testing/running-coordinator.ts'

const { method } = CoordinatorService
const spec = { image: 'web', replicas: 1 }
const key = 'key-1'

const textOf = <Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): string =>
  toJsonString(schema, message)

async function counts({ client }: RunningCoordinator) {
  const [workloads, tokens, nodes] = [
    await client.listWorkloads({}),
    await client.listJoinTokens({}),
    await client.listNodes({}),
  ]
  return [workloads.workloads.length, tokens.joinTokens.length, nodes.nodes.length]
}

/** One of each create, as text; the same requests each time it is called with the same facts. */
async function createAll(
  t: TestContext,
  coordinator: RunningCoordinator,
  facts: { readonly token?: string; readonly csrPem: string },
) {
  const { client } = coordinator
  const idempotencyKey = key
  const created = await client.createWorkload({ workload: { name: 'a', spec }, idempotencyKey })
  const applied = await client.applyWorkload({ workload: { name: 'b', spec }, idempotencyKey })
  const made = await client.createJoinToken({ idempotencyKey })
  const stranger = createClient(CoordinatorService, transportTo(t, coordinator))
  const token = facts.token ?? made.token
  const enrolled = await stranger.enrollNode({
    token,
    nodeName: 'one',
    csrPem: facts.csrPem,
    idempotencyKey,
  })
  return {
    token,
    answers: [
      textOf(method.createWorkload.output, created),
      textOf(method.applyWorkload.output, applied),
      textOf(method.createJoinToken.output, made),
      textOf(method.enrollNode.output, enrolled),
    ],
  }
}

test('a repeated create gives the first answer and changes nothing, also after a restart', async (t) => {
  const flags = ['--advertise-addr', 'coordinator.example:8080'] // A token names it.
  const first = await runCoordinatorHere(t, { flags })
  const csrPem = await createCsr(await createKey())
  const once = await createAll(t, first, { csrPem })
  const again = await createAll(t, first, { csrPem, token: once.token })
  // The first answer to a create is written before anything has happened to the workload; the second is that very text.
  assert.deepEqual(again.answers.slice(2), once.answers.slice(2))
  assert.deepEqual(await counts(first), [2, 1, 1])
  await first.stop()

  const second = await runCoordinatorHere(t, { flags, dataDirectory: first.dataDirectory })
  const { answers } = await createAll(t, second, { csrPem, token: once.token })
  assert.deepEqual(answers, again.answers)
  assert.deepEqual(await counts(second), [2, 1, 1])
})

test('what is kept of an answer holds no join token', async (t) => {
  const coordinator = await runCoordinatorHere(t)
  const { token } = await coordinator.client.createJoinToken({ idempotencyKey: key })
  assert.ok(token)
  await coordinator.stop()
  const files = readdirSync(coordinator.dataDirectory).filter((name) => name.startsWith('metadata'))
  assert.ok(files.length > 0)
  const signature = token.split('.').at(-1)!
  for (const name of files) {
    const bytes = readFileSync(join(coordinator.dataDirectory, name))
    assert.equal(bytes.includes(signature), false, name)
  }
})

test('a key is refused for another request, and belongs to one operator and one method', async (t) => {
  const coordinator = await runCoordinatorHere(t)
  const { client, ca } = coordinator
  await client.createWorkload({ workload: { name: 'a', spec }, idempotencyKey: key })
  await assert.rejects(
    client.createWorkload({ workload: { name: 'b', spec }, idempotencyKey: key }),
    { message: /failed_precondition.*another request/ },
  )
  const other = await credentialsFor(ca, 'operator', 'other')
  const others = createClient(CoordinatorService, transportTo(t, coordinator, other))
  await others.createWorkload({ workload: { name: 'b', spec }, idempotencyKey: key })
  await client.createJoinToken({ idempotencyKey: key })
  assert.deepEqual(await counts(coordinator), [2, 1, 0])
})

test('the key may come in a header, and many at once are one', async (t) => {
  const coordinator = await runCoordinatorHere(t)
  const answers = await Promise.all(
    Array.from({ length: 8 }, () =>
      fetchPath(coordinator, '/cloudless.api.v1.CoordinatorService/CreateJoinToken', {
        credentials: coordinator.operator,
        headers: { 'content-type': 'application/json', 'idempotency-key': 'k 1' },
        body: '{}',
      }),
    ),
  )
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200])
  assert.equal(new Set(answers.map(({ text }) => text)).size, 1)
  assert.deepEqual(await counts(coordinator), [0, 1, 0])
})

for (const method of ['updateWorkload', 'applyWorkload'] as const) {
  test(`${method}: a change that is repeated with its key does not undo what came after it`, async (t) => {
    const { client } = await runCoordinatorHere(t)
    const change = (value: string) => ({
      workload: { name: 'a', spec: { ...spec, env: { VALUE: value } } },
      idempotencyKey: value,
    })
    await client.createWorkload({ workload: { name: 'a', spec } })
    await client[method](change('one'))
    await client[method](change('two'))
    await client[method](change('one'))
    const now = await client.getWorkload({ workloadId: 'a' })
    assert.deepEqual([now.spec!.env['VALUE'], now.revision], ['two', 3n])
  })
}

test('a create that failed is tried again with the same key', async (t) => {
  const { client } = await runCoordinatorHere(t)
  const request = { workload: { name: 'a', spec }, idempotencyKey: key }
  await client.createWorkload({ workload: { name: 'a', spec } })
  await assert.rejects(client.createWorkload(request), { message: /already_exists/ })
  await client.deleteWorkload({ workloadId: 'a' })
  for (let n = 0; n < 500 && (await client.listWorkloads({})).workloads.length > 0; n++) {
    await sleep(systemClock, 10)
  }
  assert.equal((await client.createWorkload(request)).name, 'a')
})
