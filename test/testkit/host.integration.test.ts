import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createAgentOn } from './agent-on-host.ts'
import { createHost, type Host } from './host.ts'
import { createNetwork, type Network } from './network.ts'
import { buildSimpleWeb, simpleWebImage } from './simple-web.ts'
import { closeWayOut, openWayOut } from './outside.ts'
import { findLeftovers, sweep } from './sweep.ts'
import { waitFor } from './wait-for.ts'

const prefix = 'ctk'
let network: Network
let one: Host
let two: Host
const directory = mkdtempSync(join(tmpdir(), 'cloudless-host-test-'))

before(async () => {
  await sweep(prefix)
  network = await createNetwork({ prefix, subnet: '10.71.0' })
  one = createHost(network, {
    name: 'one',
    address: '10.71.0.1',
    directory: join(directory, 'one'),
  })
  two = createHost(network, {
    name: 'two',
    address: '10.71.0.2',
    directory: join(directory, 'two'),
  })
  await Promise.all([one.boot(), two.boot()])
})

after(async () => {
  await sweep(prefix)
  rmSync(directory, { recursive: true, force: true })
})

/** Nothing listens there: a machine that is reached refuses at once, one that is not says nothing. */
async function reaches(from: Host, address: string): Promise<boolean> {
  const dial = await from.run(['timeout', '1', 'bash', '-c', `</dev/tcp/${address}/9`])
  return dial.stderr.includes('refused')
}

test('hosts reach each other and us, each with a name and a boot id of its own', async () => {
  assert.ok(await reaches(one, two.address))
  assert.ok(await reaches(one, network.legAddress))
  assert.equal((await one.run(['hostname'])).stdout.trim(), 'one')
  const bootIds = await Promise.all(
    [one, two].map((host) => host.run(['cat', '/proc/sys/kernel/random/boot_id'])),
  )
  assert.notEqual(bootIds[0]!.stdout, bootIds[1]!.stdout)
})

test('a cut cable passes nothing until it is healed', async () => {
  await one.link.cut()
  assert.equal(await reaches(one, two.address), false)
  await one.link.heal()
  await waitFor(() => reaches(one, two.address), { what: 'the healed cable to carry' })
})

test('a cable that is cut in one direction, or to one other, passes the rest', async () => {
  const { link } = one
  for (const direction of ['in', 'out'] as const) {
    await link.loss(100, { direction })
    assert.equal(await reaches(one, two.address), false, direction)
  }
  await link.loss(100, { peers: [two.address] })
  assert.equal(await reaches(one, two.address), false)
  assert.ok(await reaches(one, network.legAddress))
  await link.loss(0)
  assert.ok(await reaches(one, two.address))
})

test('a task that was stopped goes on, and does not keep its machine from being switched off', async () => {
  const state = async (): Promise<string> =>
    (await two.run(['sh', '-c', 'cut -d" " -f3 /proc/$(cat /run/tasks/held)/stat'])).stdout.trim()
  await two.startTask('held', ['sleep', '1000'])
  await two.kill('held', 'SIGSTOP')
  await waitFor(async () => (await state()) === 'T', { what: 'the task to stop' })
  await two.kill('held', 'SIGCONT')
  await waitFor(async () => (await state()) === 'S', { what: 'the task to go on' })
  await two.kill('held', 'SIGSTOP')
  await waitFor(async () => (await state()) === 'T', { what: 'the task to stop again' })
  await two.kill('held', 'SIGKILL')
  await two.powerOff()
  await two.boot()
})

test('a lossy cable loses, a slow one slows', async () => {
  await two.link.loss(100)
  assert.equal(await reaches(one, two.address), false)
  await two.link.loss(0)
  assert.ok(await reaches(one, two.address))
  await two.link.bandwidth(1_000_000)
  const shaped = await two.run(['tc', 'qdisc', 'show', 'dev', 'eth0'])
  assert.match(shaped.stdout, /tbf.*rate 1Mbit/)
  await two.link.bandwidth(undefined)
})

test('a way out lets hosts reach what we reach, and leaves no rule when it is closed', async () => {
  const outside = await createNetwork({ prefix: `${prefix}x`, subnet: '10.73.0' })
  const forwardBefore = readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8')
  try {
    assert.equal(await reaches(one, outside.gateway), false)
    await openWayOut(network)
    await openWayOut(network)
    assert.ok(await reaches(one, outside.gateway))
    assert.match((await findLeftovers(prefix)).join('\n'), /rule/)
    await closeWayOut(prefix)
    assert.doesNotMatch((await findLeftovers(prefix)).join('\n'), /rule/)
    assert.equal(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8'), forwardBefore)
  } finally {
    await sweep(outside.prefix)
  }
})

test('a task runs inside and is found by a host object made later', async () => {
  const task = await one.startTask('sleeper', ['sleep', '1000'])
  const found = createHost(network, { name: 'one', address: one.address, directory: one.directory })
  assert.deepEqual(found.task('sleeper'), task)
  assert.deepEqual(await found.startTask('sleeper', ['sleep', '1000']), task)
  assert.ok(await found.kill('sleeper', 'SIGKILL'))
  assert.equal(one.task('sleeper'), undefined)
})

test('a container survives its containerd and dies with the power; the disk stays', async () => {
  const agent = createAgentOn(two, { name: 'two', coordinator: '10.71.0.253:1' })
  await agent.importImage(simpleWebImage, await buildSimpleWeb(directory))
  const ctr = ['ctr', '--namespace', 'cloudless']
  const started = await two.run([...ctr, 'run', '--detach', '--net-host', simpleWebImage, 'web'])
  assert.equal(started.code, 0, started.stderr)
  await waitFor(() => serves(two.address), { what: 'the page of the container' })

  await two.kill('containerd', 'SIGKILL')
  assert.ok(await serves(two.address))
  await two.startContainerd()
  assert.match((await two.run([...ctr, 'tasks', 'list'])).stdout, /web .*RUNNING/)

  const bootId = readFileSync(two.pathOf('/run/boot-id'), 'utf8')
  await two.powerOff()
  assert.ok(!two.isUp())
  assert.equal(await serves(two.address), false)
  await two.boot()
  assert.notEqual(readFileSync(two.pathOf('/run/boot-id'), 'utf8'), bootId)
  assert.ok(await reaches(one, two.address))
  assert.doesNotMatch((await two.run([...ctr, 'tasks', 'list'])).stdout, /RUNNING/)
  assert.match((await two.run([...ctr, 'images', 'list', '-q'])).stdout, /simple-web/)
})

async function serves(address: string): Promise<boolean> {
  const url = `http://${address}:8080/healthz`
  return (await network.run(['curl', '-s', '--max-time', '2', url])).stdout.trim() === 'ok'
}

test('a sweep leaves nothing', async () => {
  await sweep(prefix)
  assert.deepEqual(await findLeftovers(prefix), [])
  assert.ok(!one.isUp())
  assert.ok(existsSync(one.directory))
})
