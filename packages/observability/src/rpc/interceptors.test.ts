import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { grpcHealth } from '@cloudless/api/services'
import { CloudlessError, seededRandom, systemClock } from '@cloudless/base'
import { createClient, createRouterTransport, type ServiceImpl } from '@connectrpc/connect'
import { currentContext, type Context } from '../context.ts'
import { createLogger } from '../logging/logger.ts'
import { createCoordinatorMetrics } from '../metrics/coordinator-metrics.ts'
import { createObservingInterceptor, statusNameOf } from './interceptors.ts'

const { Health } = grpcHealth
const serving = grpcHealth.HealthCheckResponse_ServingStatus.SERVING

function serve(handlers: Partial<ServiceImpl<typeof Health>>) {
  const lines: string[] = []
  const random = seededRandom(1)
  const metrics = createCoordinatorMetrics({ clock: systemClock })
  const logger = createLogger(
    { name: 'test', level: 'debug', format: 'json' },
    { write: (line) => void lines.push(line) },
  )
  const deps = { clock: systemClock, random, logger, metrics: metrics.grpc }
  const transport = createRouterTransport(({ service }) => service(Health, handlers), {
    router: { interceptors: [createObservingInterceptor(deps)] },
  })
  return { client: createClient(Health, transport), metrics, lines }
}

describe('the interceptors of calls', () => {
  it('carry the ids from caller to handler, and make them when there are none', async () => {
    const seen: Context[] = []
    const { client } = serve({
      check: async () => {
        await Promise.resolve()
        seen.push(currentContext())
        return { status: serving }
      },
    })
    await client.check({}, { headers: { 'x-request-id': 'r-1', 'x-correlation-id': 'c-1' } })
    await client.check({}, { headers: { 'x-request-id': 'r-2' } })
    await client.check({}, { headers: { 'x-request-id': 'not\tan id' } })
    assert.deepEqual(seen[0], { requestId: 'r-1', correlationId: 'c-1' })
    assert.deepEqual(seen[1], { requestId: 'r-2', correlationId: 'r-2' })
    assert.match(seen[2]!.requestId!, /^[a-z0-9]{16}$/)
  })

  it('count, time and log a call with its status', async () => {
    const { client, metrics, lines } = serve({
      check: ({ service }) => {
        if (service === 'none') throw new CloudlessError('not_found', 'no such service')
        return { status: serving }
      },
    })
    await client.check({})
    await assert.rejects(client.check({ service: 'none' }))
    const { body } = await metrics.expose()
    assert.match(body, /grpc_requests_total\{method="grpc.health.v1.Health\/Check",code="OK"\} 1/)
    assert.match(body, /code="NOT_FOUND"\} 1/)
    assert.match(
      body,
      /grpc_request_duration_seconds_count\{method="grpc.health.v1.Health\/Check"\} 2/,
    )
    assert.match(lines[0]!, /"level":"debug".*"requestId".*"status":"OK"/)
    assert.match(lines[1]!, /"level":"info".*"status":"NOT_FOUND".*no such service/)
  })

  it('keep the context through a stream, and count its messages and its end', async () => {
    const seen: (string | undefined)[] = []
    const { client, metrics } = serve({
      async *watch() {
        for (let n = 0; n < 3; n++) {
          seen.push(currentContext().correlationId)
          yield { status: serving }
        }
      },
    })
    const headers = { 'x-correlation-id': 'c-9' }
    for await (const response of client.watch({}, { headers }))
      assert.equal(response.status, serving)
    assert.deepEqual(seen, ['c-9', 'c-9', 'c-9'])
    const { body } = await metrics.expose()
    assert.match(body, /grpc_stream_messages_sent_total\{method="[^"]*Watch"\} 3/)
    assert.match(body, /grpc_requests_total\{method="[^"]*Watch",code="OK"\} 1/)
  })

  it('name statuses as gRPC does', () => {
    assert.equal(statusNameOf(undefined), 'OK')
    assert.equal(statusNameOf(new CloudlessError('resource_exhausted', 'x')), 'RESOURCE_EXHAUSTED')
    assert.equal(statusNameOf(new CloudlessError('cancelled', 'x')), 'CANCELLED')
    assert.equal(statusNameOf(new TypeError('bug')), 'INTERNAL')
  })
})
