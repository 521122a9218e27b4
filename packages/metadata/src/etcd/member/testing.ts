/** For tests: members of etcd that are run by us, on free ports of this machine and in a directory of their own. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sleep, systemClock, systemRandom } from '@cloudless/base'
import type { MetadataStore, Write } from '../../store.ts'
import { createEtcdStore } from '../etcd-store.ts'
import { freePorts } from '../testing.ts'
import type { AlarmChange } from './alarms.ts'
import type { PlanRenewal } from './certificate.ts'
import { createEtcdCluster, type EtcdCluster } from './etcd-cluster.ts'
import { startEtcdMember, type EtcdMember } from './etcd-member.ts'
import type { EtcdMemberOptions, InitialCluster } from './member-options.ts'
import type { EtcdMemberState } from './supervisor.ts'
import { createTestCa, type TestCa } from './test-ca.ts'

export interface TestMember extends EtcdMember {
  readonly options: EtcdMemberOptions
  readonly store: MetadataStore
  readonly cluster: EtcdCluster
  readonly states: readonly EtcdMemberState[]
  readonly alarms: readonly AlarmChange[]
}

export interface TestMembers {
  readonly directory: string
  readonly ca: TestCa
  /** What all have logged. */
  readonly logged: readonly string[]
  /** Made ready, not started. */
  prepare(name: string, initial: InitialCluster): Promise<EtcdMemberOptions>
  start(options: EtcdMemberOptions): Promise<TestMember>
  /** The first member, and others that join it one after the other and vote in the end. */
  startCluster(names: readonly string[]): Promise<TestMember[]>
}

/** As of a cluster that renews at two thirds. */
export const renewAtTwoThirds: PlanRenewal = ({ notBeforeMs, notAfterMs, nowMs }) => {
  const delayMs = notBeforeMs + ((notAfterMs - notBeforeMs) * 2) / 3 - nowMs
  return delayMs <= 0 ? { kind: 'renew' } : { kind: 'wait', delayMs }
}

export async function withMembers(check: (members: TestMembers) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'cloudless-etcd-member-'))
  const started: TestMember[] = []
  try {
    await check(membersIn(directory, started))
  } finally {
    await Promise.allSettled(started.map(closeAll))
    rmSync(directory, { recursive: true, force: true })
  }
}

async function closeAll(member: TestMember): Promise<void> {
  await member.close()
  member.cluster.close()
  await member.store.close()
}

function membersIn(directory: string, started: TestMember[]): TestMembers {
  const ca = createTestCa(join(directory, 'ca'))
  const logged: string[] = []
  const deps = {
    clock: systemClock,
    random: systemRandom,
    log: (level: string, message: string) => void logged.push(`${level} ${message}`),
  }
  const prepare = async (name: string, initial: InitialCluster): Promise<EtcdMemberOptions> => {
    const [client, peer] = await freePorts(2)
    return {
      ...{ name, initial, clusterId: 'test', dataDirectory: join(directory, name) },
      clientAddress: `127.0.0.1:${client}`,
      peerAddress: `127.0.0.1:${peer}`,
      credentials: async (names) => ca.issue(names),
      planRenewal: renewAtTwoThirds,
    }
  }
  const start = async (options: EtcdMemberOptions): Promise<TestMember> => {
    const states: EtcdMemberState[] = []
    const alarms: AlarmChange[] = []
    const member = await startEtcdMember(deps, {
      ...options,
      onState: (state) => states.push(state),
      onAlarm: (change) => alarms.push(change),
    })
    const dialled = { endpoints: [member.endpoint], tls: member.tls }
    const store = createEtcdStore({ clock: systemClock }, dialled)
    const cluster = createEtcdCluster({ clock: systemClock }, dialled)
    // Its getters are of the present.
    const extended: TestMember = Object.defineProperties(
      { ...member, options, store, cluster, states, alarms },
      Object.getOwnPropertyDescriptors(member),
    )
    started.push(extended)
    return extended
  }
  const startCluster = async ([first = 'm1', ...names]: readonly string[]): Promise<
    TestMember[]
  > => {
    const members = [await start(await prepare(first, { kind: 'new' }))]
    for (const name of names) members.push(await joinAsVoter(members[0]!, name, { prepare, start }))
    return members
  }
  return { directory, ca, logged, prepare, start, startCluster }
}

async function joinAsVoter(
  first: TestMember,
  name: string,
  { prepare, start }: Pick<TestMembers, 'prepare' | 'start'>,
): Promise<TestMember> {
  const options = await prepare(name, { kind: 'join', members: [] })
  const { id } = await first.cluster.addLearner(options.peerAddress)
  const members = await first.cluster.members()
  const joined = await start({ ...options, initial: { kind: 'join', members } })
  await until(`${name} to vote`, () => first.cluster.promote(id))
  return joined
}

export const put = (key: string, text = key): Write => ({
  kind: 'put',
  key,
  value: Buffer.from(text),
})

const waitMsMax = 30_000
const lookMs = 50

export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  msMax: number = waitMsMax,
): Promise<void> {
  const untilMs = systemClock.monotonicMs() + msMax
  while (!(await isSo())) {
    if (systemClock.monotonicMs() > untilMs) throw new Error(`waited in vain for ${what}`)
    await sleep(systemClock, lookMs)
  }
}
