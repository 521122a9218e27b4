/** What happens in homes: routers reboot, phones have bad links, the one coordinator is off for a while. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { imageOf } from '../container-behaviour.ts'
import { Scenario } from './scenario.ts'

const web = { name: 'web', spec: { image: imageOf('steady', 1), replicas: 6 } }
const lan = ['a', 'b', 'c', 'd'].map((name) => ({ name, zone: 'home' }))
const minuteMs = 60_000

describe('a home', () => {
  it('comes back to what it was when its router has rebooted', async () => {
    const home = await Scenario.begin([...lan, { name: 'vps', zone: 'cloud' }])
    await home.apply(web)
    await home.converge()
    for (const { name } of lan) home.node(name).link.cut('up')
    for (const { name } of lan) home.node(name).link.cut('down')
    await home.pass(2 * minuteMs)
    for (const { name } of lan) home.node(name).link.heal('up')
    for (const { name } of lan) home.node(name).link.heal('down')
    await home.converge(5 * minuteMs)
    assert.equal(home.replicas.length, 6)
  })

  it('lets one machine go a minute when most stay away, and no faster for those it has let go', async () => {
    const home = await Scenario.begin([...lan, { name: 'vps', zone: 'cloud' }])
    await home.apply(web)
    await home.converge()
    for (const { name } of lan) home.node(name).powerOff()
    const created = home.countSaid('replicaCreated')
    const made: number[] = []
    for (let minute = 0; minute < 4; minute++) {
      await home.pass(minuteMs)
      made.push(home.countSaid('replicaCreated') - created)
    }
    assert.equal(made[0], 0, 'nothing is replaced at first')
    const replaced = made.map((count, n) => count - (made[n - 1] ?? 0))
    assert.ok(
      replaced.every((count) => count <= 3),
      `what no more than one machine ran is replaced in a minute: ${replaced.join(', ')}`,
    )
    for (const { name } of lan) home.node(name).powerOn()
    await home.converge(10 * minuteMs)
  })

  it('keeps a phone that loses a tenth of its packets', async () => {
    const link = { delayMs: 60, jitterMs: 300, lossShare: 0.1 }
    const home = await Scenario.begin([...lan, { name: 'phone', link }])
    await home.apply({ ...web, spec: { ...web.spec, replicas: 10 } })
    await home.converge()
    await home.pass(60 * minuteMs)
    assert.equal(home.countSaid('nodePhaseChanged'), 5, 'each has come, and none has gone')
  })

  it('runs on while its coordinator is down for a quarter of an hour', async () => {
    const home = await Scenario.begin(lan)
    await home.apply(web)
    await home.converge()
    const before = home.replicas.map(({ id, startedAtMs }) => ({ id, startedAtMs }))
    home.world.coordinator.kill({ isPowerLoss: true })
    home.node('b').killAgent()
    await home.pass(5 * minuteMs)
    home.node('b').startAgent()
    await home.pass(10 * minuteMs)
    home.world.coordinator.start()
    await home.converge()
    const after = home.replicas.map(({ id, startedAtMs }) => ({ id, startedAtMs }))
    assert.deepEqual(after, before, 'the same containers, never restarted')
  })

  it('starts what it ran when power returns and the coordinator does not', async () => {
    const home = await Scenario.begin(lan)
    await home.apply(web)
    await home.converge()
    home.world.coordinator.kill({ isPowerLoss: true })
    for (const { name } of lan) home.node(name).powerOff()
    await home.pass(minuteMs)
    for (const { name } of lan) home.node(name).powerOn()
    await home.pass(minuteMs)
    const running = lan.flatMap(({ name }) => [...home.node(name).containers.running()])
    assert.equal(running.length, 6)
    home.world.coordinator.start()
    await home.converge()
  })

  it('lets a laptop sleep and takes it back when it wakes', async () => {
    const home = await Scenario.begin(lan)
    await home.apply(web)
    await home.converge()
    home.node('c').suspend()
    await home.pass(5 * minuteMs)
    assert.equal(home.servingCount, 6)
    home.node('c').resume()
    await home.converge()
    assert.equal(home.replicas.length, 6)
  })
})
