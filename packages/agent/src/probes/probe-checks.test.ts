import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { HealthCheckSchema, type HealthCheck } from '@cloudless/api'
import { FakeRuntime, oneShot } from '../testing/fake-runtime.ts'
import { runCheck } from './probe-checks.ts'

const target = { containerId: 'web-1', address: '127.0.0.1' }
const runtime = new FakeRuntime()
let seen: string[] = []
let port = 0
const server = createServer((request, response) => {
  seen.push(`${request.url} ${request.headers['x-probe']}`)
  if (request.url === '/hangs') return
  if (request.url === '/endless') {
    response.writeHead(200)
    response.write('x')
    return
  }
  response.writeHead(Number(request.url?.slice(1))).end()
})

/** One server for all tests of a kind. */
function withServer(): void {
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
  })
  after(() => {
    server.closeAllConnections()
    server.close()
  })
}

function run(check: HealthCheck['check'], timeoutMs = 2_000) {
  return runCheck(runtime, target, check, AbortSignal.timeout(timeoutMs))
}

const http = (path: string): HealthCheck['check'] =>
  create(HealthCheckSchema, {
    check: { case: 'http', value: { path, port, headers: [{ name: 'X-Probe', value: 'yes' }] } },
  }).check

describe('an HTTP check', () => {
  withServer()

  for (const [path, passed] of [
    ['/200', true],
    ['/204', true],
    ['/399', true],
    ['/400', false],
    ['/500', false],
  ] as const) {
    it(`${passed ? 'passes' : 'fails'} with ${path.slice(1)}`, async () => {
      const outcome = await run(http(path))
      assert.equal(outcome.passed, passed)
      if (!passed) assert.match(outcome.message, new RegExp(`HTTP ${path.slice(1)} from`))
    })
  }

  it('sends its headers, and does not read a body that has no end', async () => {
    seen = []
    assert.equal((await run(http('/endless'))).passed, true)
    assert.deepEqual(seen, ['/endless yes'])
  })

  it('fails when there is no answer in time', async () => {
    assert.deepEqual(await run(http('/hangs'), 50), {
      passed: false,
      message: 'no answer in time',
    })
  })

  it('fails when nobody listens', async () => {
    const check = { case: 'http', value: { path: '/', port: 1 } } as const
    const outcome = await run(create(HealthCheckSchema, { check }).check)
    assert.match(outcome.message, /ECONNREFUSED/)
  })
})

describe('a TCP check', () => {
  withServer()

  const tcp = (to: number): HealthCheck['check'] =>
    create(HealthCheckSchema, { check: { case: 'tcp', value: { port: to } } }).check

  it('passes when somebody listens and fails when nobody does', async () => {
    assert.equal((await run(tcp(port))).passed, true)
    assert.equal((await run(tcp(1))).passed, false)
  })
})

describe('an exec check', () => {
  withServer()

  const exec: HealthCheck['check'] = create(HealthCheckSchema, {
    check: { case: 'exec', value: { command: ['check', 'it'] } },
  }).check

  it('passes with exit code 0', async () => {
    runtime.exec_ = () => oneShot('', 0)
    assert.equal((await run(exec)).passed, true)
  })

  it('fails with another, and says what the command said', async () => {
    runtime.exec_ = () => oneShot('no database\n', 2)
    assert.equal((await run(exec)).message, '`check it` ended with exit code 2: no database')
  })

  it('is closed and fails when it runs too long', async () => {
    const over = Promise.withResolvers<number>()
    let closed = 0
    runtime.exec_ = () => ({
      ...oneShot('', 0),
      exitCode: over.promise,
      close: async () => {
        closed++
        over.resolve(137)
      },
    })
    assert.equal((await run(exec, 30)).message, 'no answer in time')
    assert.ok(closed > 0)
  })

  it('is closed when its time is over before its command has started', async () => {
    const started = Promise.withResolvers<void>()
    const over = Promise.withResolvers<number>()
    const late = new FakeRuntime()
    late.gates.set('exec replica-1 check it', started.promise)
    late.exec_ = () => ({
      ...oneShot('', 0),
      exitCode: over.promise,
      close: async () => over.resolve(137),
    })
    const deadline = new AbortController()
    const target = { containerId: 'replica-1', address: '127.0.0.1' }
    const outcome = runCheck(late, target, exec, deadline.signal)
    deadline.abort()
    started.resolve()
    assert.equal((await outcome).message, 'no answer in time')
  })
})
