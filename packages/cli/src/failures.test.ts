/** Exit codes and sentences for what goes wrong before, at and after the connection. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { createTestAuthority, writeConfiguration } from './testing/credentials.ts'
import { aNode } from './testing/fake-state.ts'
import { startHarness } from './testing/harness.ts'

test('a coordinator that does not run is unavailable, with what to do', async (t) => {
  const { cli } = await startHarness(t)
  const { code, err } = await cli('node list --coordinator 127.0.0.1:1')
  assert.equal(code, 5)
  assert.equal(
    err,
    'Cannot reach the coordinator at 127.0.0.1:1: connection refused. Is it running? ' +
      'Start it with `make up`, or name another with --coordinator.\n',
  )
})

test('several coordinators are tried in turn', async (t) => {
  const { cli, address, state } = await startHarness(t)
  state.nodes.push(aNode({ name: 'a' }))
  const { code, out } = await cli(`node list -o name --coordinator 127.0.0.1:1,${address}`)
  assert.deepEqual([code, out], [0, 'node/a\n'])
  const none = await cli('node list --coordinator 127.0.0.1:1,127.0.0.1:2')
  assert.match(none.err, /Cannot reach any coordinator: 127\.0\.0\.1:1: .*; 127\.0\.0\.1:2: /)
})

test("another cluster's coordinator is not trusted", async (t) => {
  const { cli, directory } = await startHarness(t)
  const stranger = await createTestAuthority(join(directory, 'stranger'))
  writeFileSync(join(directory, 'other-ca.pem'), (await stranger.issue('operator', 'x')).caPem)
  const { code, err } = await cli('node list --ca-file other-ca.pem')
  assert.equal(code, 5)
  assert.match(err, /its certificate is of another cluster.*--ca-file/)
})

test('a server that is a node and not a coordinator is not trusted', async (t) => {
  const { createSecureServer } = await import('node:http2')
  const harness = await startHarness(t)
  const authority = await createTestAuthority(harness.directory)
  const node = await authority.issue('node', 'node-a')
  const server = createSecureServer({ key: node.keyPem, cert: node.certificatePem + node.caPem })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const { code, err } = await harness.cli(`node list --coordinator 127.0.0.1:${port}`)
  assert.equal(code, 5)
  assert.match(err, /no controller identity/)
})

test('something that does not speak TLS is said to be no coordinator', async (t) => {
  const { cli } = await startHarness(t)
  const server = createServer((socket) => socket.end('HTTP/1.0 400 Bad Request\r\n\r\n'))
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const { code, err } = await cli(`node list --coordinator 127.0.0.1:${port}`)
  assert.equal(code, 5)
  assert.match(err, /something other than a coordinator listens there/)
})

test('without credentials nothing is dialled, and the sentence says what to give', async (t) => {
  const { cli, directory } = await startHarness(t)
  const environment = { CLOUDLESS_CONFIG: '', HOME: directory }
  const { code, err } = await cli('node list', { environment })
  assert.equal(code, 4)
  assert.match(
    err,
    /There are no credentials for localhost:8080: --ca-file, --cert-file, --key-file/,
  )
})

test('what is not there is 3', async (t) => {
  const { cli } = await startHarness(t)
  const { code, err, out } = await cli('node get nobody -o json')
  assert.deepEqual([code, out, err], [3, '', 'There is no node "nobody".\n'])
})

test('--verbose shows the ids that are in the logs', async (t) => {
  const { cli, state } = await startHarness(t)
  const { err } = await cli('node get nobody --verbose')
  const headers = state.calls.at(-1)!.headers
  assert.match(headers.get('x-correlation-id') ?? '', /^cli-\w{16}$/)
  assert.ok(err.includes(`correlation id: ${headers.get('x-correlation-id')}`))
  assert.ok(err.includes(`request id: ${headers.get('x-request-id')}`))
})

test('mistakes on the command line are 2, with the nearest word', async (t) => {
  const { cli, state } = await startHarness(t)
  for (const [line, expected] of [
    ['nodes lits', /"node" has no "lits"/],
    ['worklod list', /there is no command "worklod"\. Did you mean "workload"\?/],
    ['node list --regoin x', /There is no option --regoin\. Did you mean "--region"\?/],
    ['node list --output xml', /--output must be one of table, wide, json, yaml, name, not "xml"/],
    ['node get', /NODE is missing/i],
    ['workload restart a b', /more arguments/],
    ['workload scale web --replicas many', /must be a whole number, not "many"/],
    ['node list --request-timeout soon', /must be a duration/],
    ['node drain a --graceful=perhaps', /is true or false/],
    ['node list --context nowhere', /there is no context "nowhere"/i],
    ['node taint a gpu=yes:NoSchedul', /Did you mean "NoSchedule"/],
    ['workload exec web', /what to run after --/],
    ['node list --coordinator [::1', /HOST:PORT/],
  ] as const) {
    const { code, err } = await cli(line)
    assert.match(err, expected, line)
    assert.equal(code, 2, line)
  }
  assert.equal(state.calls.length, 0)
})

test('contexts are listed, chosen and viewed, and the file keeps its comments', async (t) => {
  const { cli, configPath, address } = await startHarness(t)
  const { readFileSync } = await import('node:fs')
  writeFileSync(configPath, `# mine\n${readFileSync(configPath, 'utf8')}`)
  assert.match((await cli('config get-contexts')).out, /\* +│ test/)
  const view = JSON.parse((await cli('config view -o json --context other')).out)
  assert.deepEqual([view.namespace, view.coordinators], ['prod', ['127.0.0.1:1']])
  assert.match(view.key_file, /operator\/key\.pem$/)
  assert.equal((await cli('config use-context other')).code, 0)
  assert.match(readFileSync(configPath, 'utf8'), /^# mine\ncurrent_context: other\n/)
  assert.equal((await cli('node list')).code, 5)
  const environment = { CLOUDLESS_COORDINATOR: address }
  assert.equal((await cli('node list', { environment })).code, 0)
  assert.equal((await cli('config use-context otter')).code, 2)
})

test('a configuration with an unknown key is refused with the nearest', async (t) => {
  const { cli, directory, configPath } = await startHarness(t)
  writeFileSync(join(directory, 'flat.yaml'), 'coordinater: x\n')
  const { code, err } = await cli('node list --config flat.yaml')
  assert.equal(code, 2)
  assert.match(err, /there is no setting "coordinater"\. Did you mean "coordinator"\?/)
  assert.equal((await cli(`config view --config ${configPath}`)).code, 0)
})

test('a flat configuration for one cluster works', async (t) => {
  const { cli, directory, address } = await startHarness(t)
  const authority = await createTestAuthority(directory)
  writeConfiguration(directory, address, await authority.issue('operator', 'flat'))
  writeFileSync(
    join(directory, 'flat.yaml'),
    `coordinator: ${address}\nca_file: operator/ca.pem\ncert_file: operator/cert.pem\nkey_file: operator/key.pem\n`,
  )
  assert.equal((await cli('node list --config flat.yaml')).code, 0)
})
