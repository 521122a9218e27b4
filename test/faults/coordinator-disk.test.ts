/** A coordinator whose disk is full or slow: writes are refused or wait, and nothing else does. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { systemClock } from '@cloudless/base'
import {
  applyWorkload,
  callApi,
  createSmallDisk,
  manifestOf,
  replicasOf,
  startCluster,
  waitFor,
  waitForReady,
  type Cluster,
  type SmallDisk,
} from '@cloudless/test/testkit'

const prefix = 'tcdisk'
let cluster: Cluster
let disk: SmallDisk

before(async () => {
  cluster = await startCluster({
    prefix,
    subnet: '10.80.32',
    agents: ['a', 'b'].map((name) => ({ name, cpuCores: 2, memoryMb: 1024 })),
  })
  await cluster.coordinator.kill()
  const directory = join(cluster.directory, 'coordinator')
  disk = await createSmallDisk({ prefix, directory, megabytes: 24 })
  await cluster.coordinator.start()
  for (const name of ['a', 'b']) await cluster.waitForPhase(name, 'READY')
  await applyWorkload(cluster, { name: 'web', replicas: 2 })
  await waitForReady(cluster, 'web', 2)
})

after(async () => {
  await cluster?.coordinator.kill()
  await disk?.remove()
  await cluster?.stop()
})

async function idsOfWeb(): Promise<string[]> {
  return (await replicasOf(cluster, 'web')).map(({ id }) => id).toSorted()
}

/** Milliseconds it took, and that it worked. */
async function timed(method: string, body: string): Promise<number> {
  const startedMs = systemClock.monotonicMs()
  const answer = await callApi(cluster, method, body)
  assert.equal(answer.status, 200, answer.body)
  return systemClock.monotonicMs() - startedMs
}

test('with its disk full it refuses changes with the reason, answers questions, loses no node, and goes on', async () => {
  const before = await idsOfWeb()
  await disk.fill()
  const refused = await waitFor(
    async () => {
      // Some of what the disk holds already may still take a change or two.
      const input = manifestOf({ name: 'more', command: ['sleep', '1000'] })
      const result = await cluster.ctl.run(['apply', '-f', '-'], { input })
      await cluster.ctl.run(['workload', 'delete', 'more'])
      return result.code === 0 ? undefined : result
    },
    { what: 'a refusal', deadlineMs: 30_000 },
  )
  assert.match(refused.stderr, /space|full/i)
  await cluster.agent('a').host.run(['sleep', '4']) // Longer than silence is borne.
  for (const name of ['a', 'b']) await cluster.waitForPhase(name, 'READY')
  assert.deepEqual(await idsOfWeb(), before)
  await disk.free()
  await waitFor(
    async () => (await cluster.ctl.run(['workload', 'scale', 'web', '--replicas', '3'])).code === 0,
    {
      what: 'changes to be taken again',
    },
  )
  await waitForReady(cluster, 'web', 3)
})

test('when its disk takes 100 ms for each flush, changes wait for it and nothing else does', async (t) => {
  const before = await idsOfWeb()
  const change = (): Promise<number> => timed('CreateJoinToken', '{"ttlMs":"60000"}')
  const ask = (): Promise<number> => timed('ListNodes', '{}')
  const usual = { change: await fastest(change), ask: await fastest(ask) }
  const stopSlowing = await slowFlushes(cluster.coordinator.process()!.pid, 100)
  try {
    const slow = { change: await fastest(change), ask: await fastest(ask) }
    t.diagnostic(`milliseconds before ${said(usual)}, with the slow disk ${said(slow)}`)
    assert.ok(slow.change > usual.change + 80, 'a change waits for the disk')
    assert.ok(slow.ask < usual.ask + 80, 'a question does not')
    await applyWorkload(cluster, { name: 'meanwhile' })
    await waitForReady(cluster, 'meanwhile', 1)
    for (const name of ['a', 'b']) await cluster.waitForPhase(name, 'READY')
    assert.deepEqual(await idsOfWeb(), before)
  } finally {
    await stopSlowing()
  }
})

/** Of five, so that what else the machine does counts less. */
async function fastest(measure: () => Promise<number>): Promise<number> {
  const times: number[] = []
  for (let n = 0; n < 5; n++) times.push(await measure())
  return Math.min(...times)
}

function said(times: { change: number; ask: number }): string {
  return `${Math.round(times.change)} for a change, ${Math.round(times.ask)} for a question`
}

/** From when it resolves until the returned function is called, each flush of the process takes so much longer. */
async function slowFlushes(pid: number, delayMs: number): Promise<() => Promise<void>> {
  const tracer = spawn(
    'strace',
    [
      ...['-f', '-qq', '-o', '/dev/null', '-p', String(pid), '-e', 'trace=fsync,fdatasync'],
      ...['-e', `inject=fsync,fdatasync:delay_enter=${delayMs * 1_000}`],
    ],
    { stdio: 'ignore' },
  )
  const isTraced = (thread: string): boolean =>
    !/^TracerPid:\s*0$/m.test(readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8'))
  await waitFor(() => readdirSync(`/proc/${pid}/task`).every(isTraced), {
    what: 'strace to hold the coordinator',
  })
  return async () => {
    tracer.kill('SIGTERM')
    await once(tracer, 'exit')
  }
}
