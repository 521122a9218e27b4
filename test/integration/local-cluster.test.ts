/** `make up` and `make down` as people use them: once, twice, two at once, after things were killed. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { systemClock } from '@cloudless/base'
import {
  checkout,
  cleanEnvironment,
  createCtl,
  findLeftovers,
  mustRun,
  runCommand,
  sweep,
  type CommandResult,
  type ReplicaView,
} from '@cloudless/test/testkit'

const prefix = 'tlocal'
const home = join(mkdtempSync(join(tmpdir(), 'cloudless-local-')), 'home')
const settings = {
  CLOUDLESS_HOME: home,
  CLOUDLESS_PREFIX: prefix,
  CLOUDLESS_SUBNET: '10.80.20',
  CLOUDLESS_PORT: '18080',
  CLOUDLESS_HEALTH_PORT: '18081',
}

async function local(
  args: readonly string[],
  extra: NodeJS.ProcessEnv = {},
): Promise<CommandResult> {
  return runCommand([join(checkout, 'tools', 'local-cluster', 'run.sh'), ...args], {
    env: cleanEnvironment({ ...settings, ...extra }),
    deadlineMs: 120_000,
  })
}

async function assertUp(): Promise<string> {
  const up = await local(['up'])
  assert.equal(up.code, 0, up.stdout + up.stderr)
  return up.stdout
}

function urlsOf(output: string): Set<string> {
  return new Set([...output.matchAll(/http:\/\/[\d.]+:8080\//g)].map(([url]) => url))
}

before(() => sweep(prefix))

after(async () => {
  await local(['down', '--data'])
  rmSync(join(home, '..'), { recursive: true, force: true })
})

test('up ends with three nodes, three replicas, and URLs that answer', async (t) => {
  const startedMs = systemClock.monotonicMs()
  const output = await assertUp()
  t.diagnostic(`took ${Math.round(systemClock.monotonicMs() - startedMs)} ms`)
  for (const name of ['agent-1', 'agent-2', 'agent-3']) assert.match(output, new RegExp(name))
  const urls = urlsOf(output)
  assert.equal(urls.size, 3)
  for (const url of urls) assert.match(await mustRun(['curl', '-s', url]), /It runs/)
})

test('up again changes nothing and takes less than ten seconds', async (t) => {
  const ctl = createCtl(join(home, 'config.yaml'))
  const ids = async (): Promise<string[]> =>
    (await ctl.items<ReplicaView>(['workload', 'replicas', 'simple-web'])).map(({ id }) => id)
  const before = await ids()
  const startedMs = systemClock.monotonicMs()
  await assertUp()
  const tookMs = systemClock.monotonicMs() - startedMs
  t.diagnostic(`took ${Math.round(tookMs)} ms`)
  assert.ok(tookMs < 10_000)
  assert.deepEqual((await ids()).toSorted(), before.toSorted())
})

test('two at once take turns', async () => {
  const both = await Promise.all([local(['up']), local(['up'])])
  assert.deepEqual(
    both.map(({ code }) => code),
    [0, 0],
  )
  assert.match(both.map(({ stderr }) => stderr).join(''), /waiting for it to end/)
})

test('up repairs what was killed: the coordinator, a machine, an agent', async () => {
  const found = await mustRun(['pgrep', '-f', `data-dir ${home}/coordinator`])
  const agent = await mustRun(['pgrep', '-f', `data-dir ${home}/hosts/agent-1/agent`])
  for (const pid of [...found.trim().split('\n'), ...agent.trim().split('\n')]) {
    await runCommand(['kill', '-9', pid])
  }
  assert.equal((await local(['power-off', 'agent-2'])).code, 0)
  const output = await assertUp()
  assert.equal(urlsOf(output).size, 3)
})

test('a taken port is refused, with the name of who holds it', async () => {
  await local(['down'])
  const holder = createServer().listen(18080, '127.0.0.1')
  try {
    const up = await local(['up'])
    assert.equal(up.code, 1)
    assert.match(up.stderr, /18080/)
    assert.match(up.stderr, new RegExp(`${process.pid}`))
  } finally {
    holder.close()
  }
})

test('down leaves nothing but the data, also when it is run twice; DATA=1 takes that too', async () => {
  await assertUp()
  for (let round = 0; round < 2; round++) {
    assert.equal((await local(['down'])).code, 0)
    assert.deepEqual(await findLeftovers(prefix), [])
    assert.equal((await runCommand(['pgrep', '-f', home])).stdout, '')
    assert.equal((await mustRun(['ip', 'route'])).includes('10.80.20.'), false)
  }
  assert.ok(existsSync(join(home, 'coordinator')))
  assert.equal((await local(['down', '--data'])).code, 0)
  assert.ok(!existsSync(home))
})

test('what makes no sense is said', async () => {
  const up = await local(['up'], { CLOUDLESS_PORT: 'http' })
  assert.equal(up.code, 1)
  assert.match(up.stderr, /CLOUDLESS_PORT/)
})
