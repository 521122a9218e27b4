/**
 * Every method of every service of the real coordinator, asked by an operator with nothing, with anything, and with
 * bytes that are no message: whatever it answers, the status is one of the contract's, and says something.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import {
  create,
  toBinary,
  type DescField,
  type DescMessage,
  type DescMethod,
} from '@bufbuild/protobuf'
import { AgentService, CoordinatorService, fromConnectError } from '@cloudless/api'
import { NetworkService, SecretsService, StorageService } from '@cloudless/api/services'
import { errorCodes, seededRandom, systemClock, type Random } from '@cloudless/base'
import { Code, ConnectError, type Transport } from '@connectrpc/connect'
import { fetchPath, transportTo } from '../server/testing.ts'
import { runCoordinatorHere } from '../testing/running-coordinator.ts'
import { joinCluster } from '../testing/talking-agent.ts'

const services = [CoordinatorService, AgentService, NetworkService, SecretsService, StorageService]
const methods: DescMethod[] = services.flatMap((service) => service.methods)
const owners = ['Network', 'Secrets', 'Storage'].map((name) => `cloudless.api.v1.${name}Service`)

/** The status a call ends with; undefined when it answers, or goes on as watches do. */
async function statusOf(
  transport: Transport,
  method: DescMethod,
  request: object,
): Promise<ConnectError | undefined> {
  const abort = new AbortController()
  const cancel = systemClock.after(method.methodKind === 'unary' ? 5_000 : 150, () => abort.abort())
  try {
    if (method.methodKind === 'unary') {
      await transport.unary(method as never, abort.signal, 5_000, undefined, request as never)
      return undefined
    }
    const requests = (async function* () {
      yield request
    })()
    const { message } = await transport.stream(
      method as never,
      abort.signal,
      undefined,
      undefined,
      requests as never,
    )
    for await (const _ of message) break
    return undefined
  } catch (reason) {
    return abort.signal.aborted ? undefined : ConnectError.from(reason)
  } finally {
    cancel()
    abort.abort()
  }
}

function assertOfContract(
  method: DescMethod,
  status: ConnectError | undefined,
  what: string,
): void {
  if (status === undefined) return
  const at = `${method.parent.typeName}/${method.name} with ${what}: ${status.message}`
  assert.notEqual(status.code, Code.Unknown, at)
  assert.notEqual(status.code, Code.Internal, at)
  assert.ok(errorCodes.includes(fromConnectError(status).code), at)
  assert.match(status.rawMessage, /\w+ \w+/, `${at}: is it a sentence?`)
  if (status.code === Code.Unimplemented) assert.match(status.rawMessage, /\w+( \S+){4,}/, at)
}

async function start(t: TestContext) {
  const coordinator = await runCoordinatorHere(t, { flags: ['--api-rate-burst', '100000'] })
  return { coordinator, transport: transportTo(t, coordinator, coordinator.operator) }
}

test('an empty request is answered, or refused with a reason', async (t) => {
  const { transport } = await start(t)
  for (const method of methods) {
    const status = await statusOf(transport, method, create(method.input, {}))
    assertOfContract(method, status, 'nothing')
    if (owners.includes(method.parent.typeName)) assert.equal(status?.code, Code.Unimplemented)
    else assert.notEqual(status?.code, Code.Unimplemented, method.name)
  }
})

test('any request is answered, or refused with a reason, and the coordinator goes on', async (t) => {
  const { coordinator, transport } = await start(t)
  await joinCluster(t, coordinator, 'one')
  const random = seededRandom(20_261_120)
  for (const method of methods.filter(({ parent }) => !owners.includes(parent.typeName))) {
    for (let n = 0; n < 12; n++) {
      const request = anyMessage(random, method.input, 0)
      const text = JSON.stringify(request, (_, value: unknown) =>
        typeof value === 'bigint' ? String(value) : value,
      )
      assertOfContract(method, await statusOf(transport, method, request), text)
    }
  }
  const { nodes } = await coordinator.client.listNodes({})
  assert.ok(nodes.length <= 1)
  const failures = coordinator.log.filter(({ level }) => level === 'error' || level === 'fatal')
  assert.deepEqual(failures, [])
})

test('bytes and JSON that are no message are the fault of who sent them', async (t) => {
  const { coordinator } = await start(t)
  const random = seededRandom(7)
  const bodies: [string, string | Uint8Array][] = [
    ['application/json', '{"no_such_field": 1}'],
    ['application/json', '[1, 2'],
    ['application/json', '"text"'],
    ['application/proto', Uint8Array.from({ length: 64 }, () => random.next() * 256)],
  ]
  for (const method of methods.filter(({ methodKind }) => methodKind === 'unary')) {
    for (const [type, body] of bodies) {
      const path = `/${method.parent.typeName}/${method.name}`
      const { status, text } = await fetchPath(coordinator, path, {
        credentials: coordinator.operator,
        headers: { 'content-type': type },
        body,
      })
      const at = `${path} with ${type} ${String(body).slice(0, 30)}: ${status} ${text}`
      const { code, message } = JSON.parse(text) as { code?: string; message?: string }
      // Rights come before the body is read.
      assert.ok(['invalid_argument', 'permission_denied'].includes(code ?? ''), at)
      assert.ok(message, at)
      if (String(body).includes('no_such_field') && code === 'invalid_argument') {
        assert.match(message, /no_such_field/, at)
      }
    }
  }
})

const words = ['', 'web', 'one', 'default', 'A B', '../..', 'ü', 'x'.repeat(300), '-1', 'web-1']

/** A message with some of its fields set to something. */
function anyMessage(random: Random, description: DescMessage, depth: number): object {
  const init: Record<string, unknown> = {}
  for (const field of description.fields) {
    if (random.next() < 0.4 || (depth > 3 && field.fieldKind === 'message')) continue
    const value = anyValue(random, field, depth)
    if (field.oneof === undefined) init[field.localName] = value
    else init[field.oneof.localName] = { case: field.localName, value }
  }
  const message = create(description, init as never)
  toBinary(description, message)
  return message
}

function anyValue(random: Random, field: DescField, depth: number): unknown {
  const some = (make: () => unknown): unknown[] =>
    Array.from({ length: Math.floor(random.next() * 3) }, make)
  switch (field.fieldKind) {
    case 'scalar':
      return anyScalar(random, field.scalar)
    case 'enum':
      return Math.floor(random.next() * 9)
    case 'message':
      return anyMessage(random, field.message, depth + 1)
    case 'list':
      return some(() => {
        if (field.listKind === 'message') return anyMessage(random, field.message, depth + 1)
        return field.listKind === 'enum' ? 1 : anyScalar(random, field.scalar)
      })
    case 'map':
      return Object.fromEntries(
        some(() => [
          anyScalar(random, 9),
          field.mapKind === 'message'
            ? anyMessage(random, field.message, depth + 1)
            : field.mapKind === 'scalar'
              ? anyScalar(random, field.scalar)
              : 0,
        ]) as [string, unknown][],
      )
  }
}

/** By the numbers of protobuf's ScalarType. */
function anyScalar(random: Random, type: number): unknown {
  const pick = <Item>(items: readonly Item[]): Item =>
    items[Math.floor(random.next() * items.length)]!
  switch (type) {
    case 1: // double
    case 2: // float
      return pick([0, -1, 0.5, 1e30, Number.NaN])
    case 3: // int64
    case 16: // sfixed64
    case 18: // sint64
      return pick([0n, 1n, -1n, 2n ** 62n, -(2n ** 62n)])
    case 4: // uint64
    case 6: // fixed64
      return pick([0n, 1n, 2n ** 63n])
    case 8: // bool
      return random.next() < 0.5
    case 9: // string
      return pick(words)
    case 12: // bytes
      return new Uint8Array(pick([0, 1, 100]))
    case 13: // uint32
    case 7: // fixed32
      return pick([0, 1, 2 ** 32 - 1])
    default:
      return pick([0, 1, -1, 3, 2 ** 31 - 1, -(2 ** 31)])
  }
}
