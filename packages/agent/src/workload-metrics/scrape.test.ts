import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { systemClock, type Clock } from '@cloudless/base'
import { metricsPageLimits } from './prometheus-reader.ts'
import { scrape, scrapeMsMax } from './scrape.ts'

const answers: Record<string, (request: IncomingMessage, response: ServerResponse) => void> = {
  '/metrics': (_, response) => response.end('queue 3\nqueue 4\n'),
  '/figures?of=all': (request, response) =>
    response.end(`queue ${request.headers['accept']?.includes('text/plain') ? 1 : 0}`),
  '/404': (_, response) => response.writeHead(404).end('queue 3'),
  '/elsewhere': (_, response) => response.writeHead(302, { Location: '/metrics' }).end(),
  '/packed': (_, response) => response.writeHead(200, { 'Content-Encoding': 'gzip' }).end('x'),
  '/huge': (_, response) => response.end('#'.repeat(metricsPageLimits.bytesMax + 1)),
  '/broken': (_, response) => {
    response.writeHead(200, { 'Content-Length': '100' }).write('queue 3\n', () => {
      response.destroy()
    })
  },
  '/hangs': () => {},
  '/endless': (_, response) => {
    response.write('queue 3\n')
  },
}

describe('a scrape', () => {
  const server = createServer((request, response) => answers[request.url!]!(request, response))
  let port = 0
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
  })
  after(() => {
    server.closeAllConnections()
    server.close()
  })
  const ask = (path: string, clock: Clock = systemClock, signal = new AbortController().signal) =>
    scrape(clock, { address: '127.0.0.1', endpoint: { port, path, names: ['queue'] } }, signal)

  it('gives the sums of what the page tells', async () => {
    assert.deepEqual(Object.fromEntries(await ask('/metrics')), { queue: 7 })
    assert.deepEqual(Object.fromEntries(await ask('')), { queue: 7 })
    assert.deepEqual(Object.fromEntries(await ask('/figures?of=all')), { queue: 1 })
  })

  for (const [what, path, message] of [
    ['an answer that is none', '/404', /HTTP 404/],
    ['a redirection, which may lead anywhere', '/elsewhere', /HTTP 302/],
    ['what it cannot unpack', '/packed', /the encoding gzip/],
    ['a page that is too long', '/huge', /more than 1048576 bytes/],
    ['a page that is cut off', '/broken', /aborted/],
  ] as const) {
    it(`refuses ${what}`, () => assert.rejects(ask(path), { message }))
  }

  for (const [what, path] of [
    ['no answer', '/hangs'],
    ['an answer without an end', '/endless'],
  ] as const) {
    it(`gives up by its deadline with ${what}`, async () => {
      // A clock whose time is up as soon as it is asked for.
      const waits: number[] = []
      const clock: Clock = {
        ...systemClock,
        after(delayMs, fire) {
          waits.push(delayMs)
          return systemClock.after(50, fire)
        },
      }
      await assert.rejects(ask(path, clock), { code: 'deadline_exceeded' })
      assert.deepEqual(waits, [scrapeMsMax])
    })
  }

  it('ends when it is told to', async () => {
    const abort = new AbortController()
    const asked = ask('/hangs', systemClock, abort.signal)
    abort.abort()
    await assert.rejects(asked)
  })
})
