import assert from 'node:assert/strict'
import type { Server } from 'node:http'
import { afterEach, describe, it } from 'node:test'
import { CloudlessError } from '@cloudless/base'
import { freePort } from '../testing/free-port.ts'
import { listenForEndpoints, type EndpointName } from './http-endpoints.ts'

let open: Server[] = []
let reason: string | undefined

/** Each test closes what it opened. */
function closingServers(): void {
  afterEach(() => {
    for (const server of open) server.close()
    open = []
    reason = undefined
  })
}

async function listen(names: readonly EndpointName[]): Promise<string> {
  const address = `127.0.0.1:${await freePort()}`
  const metrics = () => Promise.resolve({ contentType: 'text/plain', body: 'figures 1\n' })
  open.push(await listenForEndpoints(address, names, { notReady: () => reason, metrics }))
  return address
}

async function get(address: string, path: string): Promise<[number, string]> {
  const response = await fetch(`http://${address}${path}`)
  return [response.status, await response.text()]
}

describe('plain endpoints', () => {
  closingServers()

  it('say health, and readiness with the reason when it is not', async () => {
    const address = await listen(['health'])
    for (const path of ['/healthz', '/health', '/readyz', '/ready', '/readyz?verbose']) {
      assert.equal((await get(address, path))[0], 200, path)
    }
    reason = 'the container runtime does not answer'
    assert.equal((await get(address, '/healthz'))[0], 200)
    const [status, body] = await get(address, '/readyz')
    assert.equal(status, 503)
    assert.deepEqual(JSON.parse(body), { status: reason })
  })

  it('serve only what their address was configured for', async () => {
    const health = await listen(['health'])
    assert.equal((await get(health, '/metrics'))[0], 404)
    const figures = await listen(['metrics'])
    assert.equal((await get(figures, '/healthz'))[0], 404)
    assert.deepEqual(await get(figures, '/metrics'), [200, 'figures 1\n'])
    const both = await listen(['health', 'metrics'])
    assert.equal((await get(both, '/healthz'))[0], 200)
    assert.equal((await get(both, '/metrics'))[0], 200)
  })

  it('outlive figures that cannot be gathered', async () => {
    const address = `127.0.0.1:${await freePort()}`
    const metrics = () => Promise.reject(new CloudlessError('internal', 'no figures'))
    const sources = { notReady: () => undefined, metrics }
    open.push(await listenForEndpoints(address, ['health', 'metrics'], sources))
    assert.equal((await get(address, '/metrics'))[0], 500)
    assert.equal((await get(address, '/healthz'))[0], 200)
  })

  it('of an address that is taken are refused, naming it', async () => {
    const address = await listen(['health'])
    const sources = { notReady: () => undefined, metrics: () => assert.fail() }
    const again = listenForEndpoints(address, ['health'], sources)
    await assert.rejects(again, {
      code: 'failed_precondition',
      message: new RegExp(`${address}.*taken`),
    })
  })
})
