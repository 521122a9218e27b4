/** Does to coordinators what was drawn, and mends it again. */
import { globSync, readFileSync } from 'node:fs'
import type { Coordinator } from '@cloudless/api'
import { sleep, systemClock } from '@cloudless/base'
import type { CoordinatorOnHost } from './coordinator-on-host.ts'
import { describeFault, type CoordinatorFault } from './coordinator-faults.ts'
import type { Coordinators } from './coordinators.ts'
import type { SmallDisk } from './small-disk.ts'
import { waitFor } from './wait-for.ts'

export interface StruckDisk {
  readonly coordinator: CoordinatorOnHost
  readonly disk: SmallDisk
}

export interface Strikes {
  /** Resolves when all have been healed; says what was done. */
  run(faults: readonly CoordinatorFault[]): Promise<readonly string[]>
  /** Takes back whatever is left of them, and starts those that do not run. */
  heal(): Promise<void>
  /** All coordinators are members with a vote and say that they are well, and every agent has a session. */
  waitUntilWell(msMax: number): Promise<void>
  /** Processes that ended although nobody ended them, with their last words. */
  readonly ended: readonly string[]
}

const askMsMax = 1_000
const ctlMsMax = 15_000
const restartMsMax = 40_000

export function createStrikes(cluster: Coordinators, full?: StruckDisk): Strikes {
  const ended: string[] = []
  /** Ended on purpose, and not started again yet. */
  const down = new Set<CoordinatorOnHost>()

  async function leader(): Promise<CoordinatorOnHost | undefined> {
    const views = await Promise.all(
      cluster.all.map((one) =>
        cluster
          .client(one)
          .describeCoordinator({}, { timeoutMs: askMsMax })
          .catch(() => undefined),
      ),
    )
    return cluster.all.find((_, n) => views[n]?.isLeader === true)
  }

  async function targetOf({ who, which }: CoordinatorFault): Promise<CoordinatorOnHost> {
    const leading = (await leader()) ?? cluster.all[which]!
    return who === 'leader' ? leading : cluster.all.filter((one) => one !== leading)[which]!
  }

  async function begin(one: CoordinatorOnHost, flags?: readonly string[], env?: NodeJS.ProcessEnv) {
    await one.begin(flags, env)
    down.delete(one)
  }

  async function take(
    ones: readonly CoordinatorOnHost[],
    how: (one: CoordinatorOnHost) => Promise<void>,
  ): Promise<() => Promise<void>> {
    for (const one of ones) down.add(one)
    await Promise.all(ones.map(how))
    return async () => void (await Promise.all(ones.map((one) => begin(one))))
  }

  /** Resolves with what takes it back. */
  async function strike(fault: CoordinatorFault): Promise<() => Promise<void>> {
    const target = await targetOf(fault)
    const { link } = target.host
    const nothing = async (): Promise<void> => undefined
    switch (fault.kind) {
      case 'killed':
        return take([target], (one) => one.kill())
      case 'killed with etcd':
        return take([target], (one) => one.killWithRaftMember())
      case 'all killed':
        return take(cluster.all, (one) => one.kill())
      case 'all killed with etcd':
        return take(cluster.all, (one) => one.killWithRaftMember())
      case 'held up':
        await target.signal('SIGSTOP')
        return async () => void (await target.signal('SIGCONT'))
      case 'held up with etcd':
        target.signalWithRaftMember('SIGSTOP')
        return async () => target.signalWithRaftMember('SIGCONT')
      case 'cut off':
        await link.cut()
        return () => link.heal()
      case 'hears nothing':
        await link.loss(100, { direction: 'in' })
        return () => link.loss(0)
      case 'is not heard':
        await link.loss(100, { direction: 'out' })
        return () => link.loss(0)
      case 'cut from one other':
        await link.loss(100, { peers: [addressesBut(target)[fault.which]!] })
        return () => link.loss(0)
      case 'cut from the others':
        // Clients reach it, and it may have nothing to tell them.
        await link.loss(100, { peers: addressesBut(target) })
        return () => link.loss(0)
      case 'loses packets':
        await link.loss(fault.percent)
        return () => link.loss(0)
      case 'has a slow link':
        // What does not fit waits in a queue for up to 200 ms, and is lost behind that.
        await link.bandwidth(10_000 * fault.percent)
        return () => link.bandwidth(undefined)
      case 'disk full':
        return full === undefined ? nothing : fillDisk(full, fault)
      case 'clock moved':
        await moveClock(target, fault)
        return () => moveClock(target)
      case 'wiped and joined anew':
        await wipe(target)
        return nothing
      case 'lead handed over':
        await transferLead()
        return nothing
      case 'restarted in turn':
        for (const one of cluster.all) await restart(one)
        return nothing
    }
  }

  function addressesBut(target: CoordinatorOnHost): string[] {
    return cluster.all.filter((one) => one !== target).map(({ host }) => host.address)
  }

  async function fillDisk({ coordinator, disk }: StruckDisk, { who }: CoordinatorFault) {
    if (who === 'leader') await transferLead(coordinator.id)
    await disk.fill()
    return () => disk.free()
  }

  async function transferLead(to?: string): Promise<void> {
    const command = ['cluster', 'transfer-leader', ...(to === undefined ? [] : [to])]
    await cluster.ctl.run(command, { deadlineMs: ctlMsMax }) // It leads already, or nobody does.
  }

  /** Only while it runs: the machine's own clock is everybody's. */
  async function moveClock(one: CoordinatorOnHost, fault?: CoordinatorFault): Promise<void> {
    down.add(one)
    await one.stop()
    const offset = fault?.which === 0 ? '-3600s' : '+3600s'
    await begin(one, [], fault && clockOff(offset))
    await one.waitUntilReady()
  }

  async function restart(one: CoordinatorOnHost): Promise<void> {
    down.add(one)
    await one.stop()
    await begin(one)
    await one.waitUntilReady()
    await waitUntilWell(restartMsMax)
  }

  /** As when its disk has died: another takes its place, under its name. */
  async function wipe(target: CoordinatorOnHost): Promise<void> {
    await waitUntilWell(restartMsMax)
    if ((await leader()) === target) {
      await cluster.ctl.text(['cluster', 'transfer-leader'])
    }
    down.add(target)
    await target.killWithRaftMember()
    await waitFor(() => isRemoved(target), {
      what: `${target.id} to be removed`,
      deadlineMs: restartMsMax,
    })
    const token = await cluster.createToken(['--for-coordinator'])
    // What is in it: a disk may be mounted there.
    await target.host.run(['find', target.dataDirectory, '-mindepth', '1', '-delete'])
    await begin(target, ['--token', token])
    await target.waitUntilReady()
  }

  /** What became of the first attempt may not be known. */
  async function isRemoved({ id }: CoordinatorOnHost): Promise<boolean> {
    const { code, stderr } = await cluster.ctl.run(['cluster', 'remove', id])
    return code === 0 || stderr.includes('there is no coordinator')
  }

  function watchForEnds(): void {
    for (const one of cluster.all) {
      if (down.has(one) || one.process() !== undefined) continue
      down.add(one)
      ended.push(`${one.id}: ${lastWordsIn(readFileSync(one.log, 'utf8'))}`)
    }
  }

  async function run(faults: readonly CoordinatorFault[]): Promise<readonly string[]> {
    const said: string[] = []
    const running: Promise<void>[] = []
    for (const fault of faults) {
      if (!fault.beside) await Promise.all(running)
      await sleep(systemClock, fault.afterMs)
      said.push(describeFault(fault))
      running.push(holdAndHeal(fault))
    }
    await Promise.all(running)
    return said
  }

  async function holdAndHeal(fault: CoordinatorFault): Promise<void> {
    const healed = await strike(fault)
    await sleep(systemClock, fault.holdMs)
    watchForEnds()
    await healed()
  }

  async function heal(): Promise<void> {
    watchForEnds()
    await full?.disk.free()
    for (const one of cluster.all) {
      one.signalWithRaftMember('SIGCONT')
      await one.host.link.heal()
      await one.host.link.loss(0)
      await one.host.link.bandwidth(undefined)
      await begin(one)
    }
  }

  async function waitUntilWell(msMax: number): Promise<void> {
    let seen = ''
    await waitFor(
      async () => {
        watchForEnds()
        const [asked] = cluster.all.filter((one) => !down.has(one))
        const api = cluster.client(asked!)
        const { coordinators } = await api.listCoordinators({}, { timeoutMs: 3 * askMsMax })
        const { nodes } = await api.listNodes({}, { timeoutMs: askMsMax })
        // Whoever leads has not seen those that have no session with it.
        const away = nodes.filter(({ lastSeenMs }) => lastSeenMs === 0n).map(({ name }) => name)
        const said = coordinators.map((one) => `${one.id}: ${one.problem || 'well'}`)
        const ends = ended.map((one) => `ended by itself: ${one}`)
        seen = [...said, ...away.map((name) => `${name}: no session`), ...ends].join('\n')
        const areAll = coordinators.length === cluster.all.length
        return areAll && away.length === 0 && coordinators.every(isWell)
      },
      { what: 'all coordinators to be well', deadlineMs: msMax, describe: () => seen },
    )
  }

  return { run, heal, waitUntilWell, ended }
}

function isWell({ problem, raft }: Coordinator): boolean {
  return problem === '' && raft?.member?.isLearner === false
}

const wordsMax = 300

function lastWordsIn(log: string): string {
  const line = log.trim().split('\n').at(-1) ?? ''
  return line.slice(0, wordsMax)
}

function clockOff(offset: string): NodeJS.ProcessEnv {
  const [library = ''] = globSync('/usr/lib/*/faketime/libfaketime.so.1')
  return { LD_PRELOAD: library, FAKETIME: offset, FAKETIME_DONT_FAKE_MONOTONIC: '1' }
}
