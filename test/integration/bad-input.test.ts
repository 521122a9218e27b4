/** Malformed, huge and hostile input: refused with the place named, the coordinator unharmed. */
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { between, pick, seededRandom } from '@cloudless/base'
import {
  callApi,
  manifestOf,
  runCommand,
  startCluster,
  type Cluster,
} from '@cloudless/test/testkit'

let cluster: Cluster

before(async () => {
  cluster = await startCluster({
    prefix: 'tinput',
    subnet: '10.80.9',
    agents: [],
    withImage: false,
  })
})

afterEach(async () => {
  assert.ok(await cluster.coordinator.isReady(), 'the coordinator is unharmed')
})

after(() => cluster?.stop())

const isRefusal = (status: number): boolean => status >= 400 && status < 500

async function apply(input: string): Promise<{ code: number; said: string }> {
  const result = await cluster.ctl.run(['apply', '-f', '-'], { input })
  return { code: result.code, said: result.stderr + result.stdout }
}

test('a manifest that is not YAML, not a workload, or has a wrong field is refused with its line', async () => {
  const cases: [string, RegExp][] = [
    ['a: [b', /1/],
    ['apiVersion: cloudless/v1\nkind: Pod\n', /kind/],
    [manifestOf({ name: 'x', spec: { replica: 3 } }), /replica\b.*replicas/s],
    [manifestOf({ name: 'x', spec: { replicas: 'three' } }), /replicas/],
    [manifestOf({ name: 'x', spec: { replicas: -1 } }), /replicas/],
    [manifestOf({ name: 'Not A Name' }), /name/],
    [manifestOf({ name: 'x', image: '' }), /image/],
  ]
  for (const [manifest, reason] of cases) {
    const { code, said } = await apply(manifest)
    assert.notEqual(code, 0, said)
    assert.match(said, reason)
  }
})

test('a manifest of more than a megabyte, or nested a thousand deep, is refused', async () => {
  const huge = await apply(manifestOf({ name: 'x', spec: { env: { A: 'x'.repeat(1_200_000) } } }))
  assert.notEqual(huge.code, 0)
  const deep = await apply(`${'['.repeat(1000)}${']'.repeat(1000)}`)
  assert.notEqual(deep.code, 0)
})

test('the place of a fault is its line and its path, also in the second document', async () => {
  const good = 'apiVersion: cloudless/v1\nkind: Workload\nmetadata: {name: a}\nspec: {image: x}\n'
  const bad = `${good}---\n${good.replace('image: x', 'image: x, ports: [{containerPort: 70000}]')}`
  const { code, said } = await apply(bad)
  assert.notEqual(code, 0)
  assert.match(said, /ports\[0\]/)
  assert.match(said, /:9\b|line 9/)
  const list = await cluster.ctl.items(['workload', 'list'])
  assert.deepEqual(list, [], 'nothing of it was applied')
})

test('a manifest of aliases that would grow without end, or of no characters, is refused soon', async () => {
  const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]']
  for (let n = 1; n < 12; n++) {
    const [name, before] = ['abcdefghijklm'[n]!, 'abcdefghijklm'[n - 1]!]
    bomb.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(',')}]`)
  }
  for (const manifest of [bomb.join('\n'), '\0\0\0', '\u0007', 'kind: Workload\nkind: Workload']) {
    assert.notEqual((await apply(manifest)).code, 0)
  }
})

test('bytes of chance are refused as such, whatever they claim to be', async (t) => {
  const seed = Number(process.env['CLOUDLESS_TEST_SEED'] ?? 1)
  t.diagnostic(`seed ${seed}`)
  const random = seededRandom(seed)
  const types = [
    'application/json',
    'application/proto',
    'application/grpc',
    'application/grpc-web',
  ]
  for (let n = 0; n < 24; n++) {
    const bytes = Buffer.from(
      Array.from({ length: 1 + between(random, 0, 300) }, () => between(random, 0, 256)),
    )
    const method = pick(random, ['CreateWorkload', 'ApplyWorkload', 'EnrollNode', 'ListNodes'])!
    const contentType = types[n % types.length]!
    const { status, body } = await callApi(cluster, method, bytes, contentType)
    const shown = `${method} as ${contentType}, bytes ${bytes.toString('hex').slice(0, 40)}: ${status} ${body}`
    // gRPC says it in its own status, under HTTP's 200.
    assert.ok(isRefusal(status) || (contentType.includes('grpc') && status === 200), shown)
    assert.doesNotMatch(body, /"unknown"|internal/i, shown)
  }
})

test('an RPC with an unknown, wrong-typed or missing field is refused and names it', async () => {
  const cases: [string, string, RegExp][] = [
    ['CreateWorkload', '{"workload":{"name":"x","nonsense":1}}', /nonsense/],
    ['CreateWorkload', '{"workload":{"name":5}}', /name/],
    ['CreateWorkload', '{"workload":{"name":"x","spec":{}}}', /image/],
    ['CreateWorkload', '{}', /workload/],
    ['ScaleWorkload', '{"workloadId":"x","replicas":-1}', /replicas/],
    ['ListNodes', '{"limit":-5}', /limit/],
    ['ListNodes', 'not json', /./],
  ]
  for (const [method, body, reason] of cases) {
    const { status, body: answer } = await callApi(cluster, method, body)
    assert.equal(status, 400, `${method} ${body}: ${answer}`)
    assert.match(answer, reason)
    assert.match(answer, /invalid_argument/)
  }
})

test('an RPC of many megabytes or nested very deep is refused', async () => {
  const huge = await callApi(
    cluster,
    'CreateWorkload',
    `{"workload":{"name":"${'x'.repeat(6_000_000)}"}}`,
  )
  assert.ok(isRefusal(huge.status), `${huge.status} ${huge.body}`)
  const deep = await callApi(
    cluster,
    'CreateWorkload',
    `${'{"workload":'.repeat(50_000)}1${'}'.repeat(50_000)}`,
  )
  assert.ok(isRefusal(deep.status), `${deep.status} ${deep.body}`)
})

test('without a certificate only health answers', async () => {
  const call = (path: string): ReturnType<typeof runCommand> =>
    runCommand([
      ...['curl', '-s', '--insecure', '-o', '/dev/null', '-w', '%{http_code}'],
      ...['-H', 'content-type: application/json', '-d', '{}'],
      `https://${cluster.address}${path}`,
    ])
  assert.equal((await call('/cloudless.api.v1.CoordinatorService/ListNodes')).stdout, '401')
  const health = await runCommand([
    'curl',
    '-s',
    '--insecure',
    `https://${cluster.address}/healthz`,
  ])
  assert.equal(health.code, 0)
})
