import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CloudlessError, systemClock } from '@cloudless/base'
import { createCoordinatorMetrics } from '@cloudless/observability'
import { eventually, openStore } from '../testing/cluster.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { measureStore } from './measured-store.ts'
import { StoreHealth } from './store-health.ts'

const full = new CloudlessError('resource_exhausted', 'the disk is full')

test('the operations of the store are counted by their result, and timed', async (t) => {
  const metrics = createCoordinatorMetrics({ clock: systemClock })
  const failures: (string | undefined)[] = []
  const store = measureStore(
    { clock: systemClock, metrics, onTransaction: (failure) => failures.push(failure?.code) },
    await openStore(t),
  )
  const value = Buffer.from('1')
  await store.transact({ writes: [{ kind: 'put', key: 'a/1', value }] })
  await store.transact({
    preconditions: [{ kind: 'absent', key: 'a/1' }],
    writes: [{ kind: 'put', key: 'a/1', value }],
  })
  await assert.rejects(store.transact({ writes: [{ kind: 'put', key: '', value }] }))
  await store.get('a/1')
  await store.list('a/')
  await store.revokeLease(await store.grantLease(1_000))
  await store.compact((await store.list('a/')).revision)
  const { body } = await metrics.expose()
  const count = (operation: string, result: string): RegExp =>
    new RegExp(`metadata_operations_total\\{operation="${operation}",result="${result}"\\} [1-9]`)
  for (const result of ['success', 'refused', 'failure']) {
    assert.match(body, count('transact', result))
  }
  for (const operation of ['get', 'list', 'lease', 'compact', 'transact']) {
    assert.match(body, count(operation, 'success'))
    const timed = `metadata_operation_duration_seconds_count\\{operation="${operation}"\\} [1-9]`
    assert.match(body, new RegExp(timed))
  }
  assert.deepEqual(
    failures,
    [undefined, undefined],
    'a wrong transaction is not the fault of the store',
  )
})

test('a store that takes no writes is not ready, and is ready again when it takes one', async () => {
  const clock = new FakeClock()
  let broken = true
  let tried = 0
  const health = new StoreHealth({
    clock,
    store: {
      transact: async () => {
        tried++
        if (broken) throw full
        return { kind: 'committed', revision: 1 }
      },
    },
  })
  assert.deepEqual(health.readiness, { ready: true })
  health.note(full)
  assert.equal(health.readiness.ready, false)
  clock.advance(1_000)
  await eventually(() => tried === 1)
  assert.equal(health.readiness.ready, false)
  broken = false
  await new Promise(setImmediate)
  clock.advance(1_000)
  await eventually(() => health.readiness.ready)
  assert.equal(tried, 2)
  health.close()
})

test('a write that others make says so too', () => {
  const health = new StoreHealth({
    clock: new FakeClock(),
    store: { transact: () => Promise.reject(full) },
  })
  health.note(full)
  health.note(undefined)
  assert.deepEqual(health.readiness, { ready: true })
  health.close()
})
