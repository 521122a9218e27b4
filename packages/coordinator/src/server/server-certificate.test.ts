import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom, systemClock, type Clock } from '@cloudless/base'
import { checkCredentials, type Credentials } from '@cloudless/identity'
import { keepServerCertificate } from './server-certificate.ts'
import { openTestCa, until } from './testing.ts'

/** A clock that is moved by hand; what falls due runs when it is passed. */
function createClock() {
  let nowMs = systemClock.wallMs()
  const timers = new Set<{ readonly atMs: number; readonly fire: () => void }>()
  const clock: Clock = {
    monotonicMs: () => nowMs,
    wallMs: () => nowMs,
    after: (delayMs, fire) => {
      const timer = { atMs: nowMs + delayMs, fire }
      timers.add(timer)
      return () => timers.delete(timer)
    },
  }
  return {
    clock,
    pending: () => timers.size,
    pass: (ms: number) => {
      nowMs += ms
      for (const timer of [...timers]) {
        if (timer.atMs > nowMs || !timers.delete(timer)) continue
        timer.fire()
      }
    },
  }
}

test('renews in time, tries again when that fails, and stops', async (t) => {
  const ca = await openTestCa(t)
  const time = createClock()
  const renewed: Credentials[] = []
  const problems: string[] = []
  let failing = false
  const certificate = await keepServerCertificate(
    {
      clock: time.clock,
      random: seededRandom(1),
      ca: {
        ...ca,
        issue: (request) =>
          failing ? Promise.reject(new Error('the disk is on fire')) : ca.issue(request),
      },
      renewed: (credentials) => renewed.push(credentials),
      problem: (message, reason) => problems.push(`${message}: ${String(reason)}`),
    },
    { coordinatorId: 'coordinator-1', dnsNames: ['a.example'], certificateLifetimeMs: 100_000 },
  )
  const { spiffeId } = checkCredentials(certificate.first)
  assert.deepEqual(spiffeId, { trustDomain: 'cloudless', type: 'controller', id: 'coordinator-1' })
  time.pass(1)
  assert.equal(renewed.length, 0)
  failing = true
  time.pass(80_000)
  await until('it has failed', () => problems.length === 1)
  assert.match(problems[0]!, /renewing the certificate of the coordinator failed: .*on fire/)
  failing = false
  await until('it waits', () => time.pending() === 1)
  time.pass(5_000)
  await until('it has renewed', () => renewed.length === 1)
  assert.notEqual(renewed[0]!.keyPem, certificate.first.keyPem)
  await until('it waits again', () => time.pending() === 1)
  certificate.stop()
  assert.equal(time.pending(), 0)
})
