/** apply and delete -f: files, directories, stdin, and what is said about bad ones. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ReplicaState } from '@cloudless/api'
import { FakeIo } from './testing/fake-io.ts'
import { aReplica, aWorkload } from './testing/fake-state.ts'
import { startHarness } from './testing/harness.ts'

function manifest(name: string, rest = ''): string {
  return [
    'apiVersion: cloudless/v1',
    'kind: Workload',
    `metadata: { name: ${name} }`,
    `spec: { image: "nginx:1.25", replicas: 2${rest} }`,
    '',
  ].join('\n')
}

test('apply creates what is missing and configures what is there', async (t) => {
  const { cli, directory, state } = await startHarness(t)
  writeFileSync(join(directory, 'web.yaml'), `${manifest('web')}---\n${manifest('api')}`)
  const first = await cli('apply -f web.yaml')
  assert.deepEqual([first.err, first.code], ['', 0])
  assert.equal(first.out, 'workload web created\nworkload api created\n')
  assert.equal(
    (await cli('apply -f web.yaml')).out,
    'workload web configured\nworkload api configured\n',
  )
  assert.deepEqual(
    state.workloads.map(({ id }) => id),
    ['default-web', 'default-api'],
  )
  assert.match((await cli('apply -f web.yaml -o json')).out, /^\{\n {2}"items": \[/)
})

test('apply reads directories, below with -R, and stdin', async (t) => {
  const { cli, directory, state } = await startHarness(t)
  mkdirSync(join(directory, 'all', 'deep'), { recursive: true })
  writeFileSync(join(directory, 'all', 'b.yaml'), manifest('b'))
  writeFileSync(join(directory, 'all', 'a.yml'), manifest('a'))
  writeFileSync(join(directory, 'all', 'notes.txt'), 'not a manifest')
  writeFileSync(join(directory, 'all', 'deep', 'c.yaml'), manifest('c'))
  assert.equal((await cli('apply -f all')).out, 'workload a created\nworkload b created\n')
  assert.match((await cli('apply -f all -R')).out, /workload c created/)
  const io = new FakeIo({ input: [manifest('piped')] })
  assert.equal((await cli('apply -n prod -f -', { io })).out, 'workload prod/piped created\n')
  assert.equal(state.workloads.at(-1)?.namespace, 'prod')
})

test('a bad manifest is explained with file, line and path, and nothing is sent', async (t) => {
  const { cli, directory, state } = await startHarness(t)
  writeFileSync(join(directory, 'good.yaml'), manifest('good'))
  writeFileSync(
    join(directory, 'bad.yaml'),
    manifest('bad', ', replicsa: 3').replace('nginx:1.25', ''),
  )
  const { code, out, err } = await cli('apply -f good.yaml -f bad.yaml')
  assert.deepEqual([code, out], [1, ''])
  assert.match(err, /^bad\.yaml:4:\d+: spec\.replicsa .*"replicas"/)
  assert.match(err, /\nNothing was sent: (one problem|\d problems) in the manifests\.\n$/)
  assert.equal(state.calls.length, 0)
})

test('a file that is not there is not found', async (t) => {
  const { cli } = await startHarness(t)
  const { code, err } = await cli('apply -f nowhere.yaml')
  assert.deepEqual([code, err], [3, 'There is no file nowhere.yaml.\n'])
  assert.equal((await cli('apply')).code, 2)
})

test('apply --dry-run stores nothing', async (t) => {
  const { cli, directory, state } = await startHarness(t)
  writeFileSync(join(directory, 'web.yaml'), manifest('web'))
  assert.equal((await cli('apply -f web.yaml --dry-run')).out, 'workload web created (dry run)\n')
  assert.equal(state.workloads.length, 0)
})

test('apply --wait shows each replica until all are ready', async (t) => {
  const { start, directory, state } = await startHarness(t)
  writeFileSync(join(directory, 'web.yaml'), manifest('web'))
  const { io, done } = start('apply -f web.yaml --wait')
  await io.until(({ errText }) => errText.includes('workload web: 0 of 2 replicas ready'))
  const web = aWorkload({ name: 'web', revision: 0n })
  state.replicas.push(
    aReplica(web, 'one'),
    aReplica(web, 'two', { state: ReplicaState.STARTING, ready: false, reason: 'PullingImage' }),
  )
  state.workloads[0] = web
  state.changes.emit('change')
  await io.until(({ errText }) => errText.includes('web-two: STARTING on a: PullingImage'))
  state.replicas[1] = aReplica(web, 'two')
  state.workloads[0] = aWorkload({ name: 'web', revision: 0n })
  state.changes.emit('change')
  assert.equal(await done, 0)
  assert.match(io.errText, /2 of 2 replicas ready\nReady after/)
})

test('a wait that takes too long says what is missing and ends with 1', async (t) => {
  const { cli, directory } = await startHarness(t)
  writeFileSync(join(directory, 'web.yaml'), manifest('web'))
  const { code, err } = await cli('apply -f web.yaml --wait --timeout 150ms')
  assert.equal(code, 1)
  assert.match(err, /Not ready within 150ms: workload web: 0 of 2 replicas ready/)
})

test('delete -f deletes what the manifest names', async (t) => {
  const { cli, directory, state } = await startHarness(t)
  writeFileSync(join(directory, 'web.yaml'), manifest('web'))
  await cli('apply -f web.yaml')
  assert.equal((await cli('delete -f web.yaml --wait')).out, 'workload web deleted\n')
  assert.equal(state.workloads.length, 0)
  assert.equal((await cli('delete -f web.yaml')).code, 3)
})
