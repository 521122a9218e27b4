import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CloudlessError } from '@cloudless/base'
import { put, until, withMembers, type TestMember, type TestMembers } from './testing.ts'

const timeout = 180_000

describe('a cluster of etcd members', { timeout }, () => {
  const onMembers = (property: string, check: (members: TestMembers) => Promise<void>): void =>
    void it(property, () => withMembers(check))

  onMembers('grows by learners that vote when they have its data', async (members) => {
    const [m1, m2, m3] = await startThree(members)
    const listed = await m3.cluster.members()
    assert.deepEqual(listed.map(({ name }) => name).sort(), ['m1', 'm2', 'm3'])
    assert.ok(listed.every(({ isLearner, isStarted }) => isStarted && !isLearner))
    await m2.store.transact({ writes: [put('a')] })
    for (const { store } of [m1, m2, m3]) assert.equal((await store.get('a'))?.key, 'a')
    const leader = await settledLeader([m1, m2, m3])
    const next = [m1, m2, m3].find((member) => member !== leader)!
    await leader.cluster.moveLeader(next.status().memberId)
    await until('another leader', () => leaderOf([m1, m2, m3]) === next)
  })

  onMembers('lets a learner answer of itself before it votes', async (members) => {
    const [m1] = (await members.startCluster(['m1'])) as [TestMember]
    const options = await members.prepare('m2', { kind: 'join', members: [] })
    const added = await m1.cluster.addLearner(options.peerAddress)
    assert.equal(added.isStarted, false)
    const initial = { kind: 'join', members: [{ ...m1.options }] } as const
    const learner = await members.start({ ...options, initial })
    assert.equal(learner.status().isLearner, true)
    await until('the vote', () => m1.cluster.promote(added.id))
    assert.equal(await m1.cluster.promote(added.id), true)
    await until('it to know', () => !learner.status().isLearner)
  })

  onMembers('does not start a member again that was removed, then or later', async (members) => {
    const [m1, m2, m3] = await startThree(members)
    await m3.close()
    await m1.cluster.remove(m3.status().memberId)
    await assert.rejects(members.start(m3.options), wasRemoved)
    await m1.cluster.remove(m2.status().memberId)
    await m1.cluster.remove(m2.status().memberId)
    await until('it to be removed', () => m2.state.kind === 'removed')
    await m2.close()
    await assert.rejects(members.start(m2.options), wasRemoved)
    assert.equal((await m1.cluster.members()).length, 1)
    await m1.store.transact({ writes: [put('a')] })
  })

  onMembers('becomes one of one, with all data, out of a single survivor', async (members) => {
    const [m1, m2, m3] = await startThree(members)
    await m1.store.transact({ writes: [put('a'), put('b')] })
    await Promise.all([m1, m2, m3].map((member) => member.close()))
    await assert.rejects(members.start({ ...m3.options, startMsMax: 2_000 }), {
      code: 'unavailable',
      message: /does not serve after 2 s; it last said:\n/,
    })
    const survivor = await members.start({ ...m3.options, initial: { kind: 'recover' } })
    const keys = (await survivor.store.list('')).entries.map(({ key }) => key)
    assert.deepEqual(keys, ['a', 'b'])
    assert.equal((await survivor.cluster.members()).length, 1)
    await survivor.store.transact({ writes: [put('c')] })
    process.kill(survivor.pid!, 'SIGKILL')
    await until('a restart', () => survivor.states.length > 1 && survivor.state.kind === 'running')
    assert.equal((await survivor.store.get('c'))?.key, 'c')
    // Those who come back later belong to what was.
    await assert.rejects(members.start({ ...m2.options, startMsMax: 5_000 }))
    await survivor.store.transact({ writes: [put('d')] })
  })

  onMembers('becomes one of one while it runs, and stays so when it ends', async (members) => {
    const [m1, m2, m3] = await startThree(members)
    await m1.store.transact({ writes: [put('a')] })
    await until('the last to have it', async () => (await m3.store.get('a')) !== undefined)
    for (const lost of [m1, m2]) {
      process.kill(lost.pid!, 'SIGKILL')
      await lost.close()
    }
    // In good order: what it had only just learnt to be committed is lost otherwise.
    await m3.recover()
    assert.equal((await m3.cluster.members()).length, 1)
    assert.equal((await m3.store.get('a'))?.key, 'a')
    await m3.store.transact({ writes: [put('b')] })
    process.kill(m3.pid!, 'SIGKILL')
    await until('a restart', () => m3.state.kind === 'restarting')
    await until('it to run', () => m3.state.kind === 'running')
    assert.equal((await m3.store.get('b'))?.key, 'b')
    assert.equal((await m3.cluster.members()).length, 1)
  })

  onMembers('widens its timers when it elects too often, one member at a time', async (members) => {
    const all = await startThree(members)
    for (let n = 0; n < 5; n++) {
      const leader = await settledLeader(all)
      const next = all[(all.indexOf(leader) + 1) % all.length]!
      await leader.cluster.moveLeader(next.status().memberId)
      await until('everybody to see it', () =>
        all.every((member) => member.status().leaderId === next.status().memberId),
      )
    }
    const wasWidened = ({ timers, state }: TestMember): boolean =>
      timers.electionMs >= 400 && state.kind === 'running'
    // The third waits for its turn still.
    await until('wider timers', () => all.filter(wasWidened).length === 2)
    assert.ok(members.logged.some((line) => /wider timers: its cluster elected/.test(line)))
  })

  onMembers('gives its database as a file', async (members) => {
    const [m1] = (await members.startCluster(['m1'])) as [TestMember]
    await m1.store.transact({ writes: [put('a')] })
    let bytes = 0
    for await (const part of m1.cluster.snapshot()) bytes += part.byteLength
    // A digest follows the database.
    assert.equal(bytes % 4_096, 32)
  })
})

function wasRemoved(reason: unknown): boolean {
  assert.ok(reason instanceof CloudlessError)
  assert.equal(reason.details['reason'], 'removed', reason.message)
  return true
}

async function startThree(members: TestMembers): Promise<[TestMember, TestMember, TestMember]> {
  const [m1, m2, m3] = await members.startCluster(['m1', 'm2', 'm3'])
  return [m1!, m2!, m3!]
}

function leaderOf(members: readonly TestMember[]): TestMember | undefined {
  return members.find((member) => member.status().leaderId === member.status().memberId)
}

async function settledLeader(members: readonly TestMember[]): Promise<TestMember> {
  let leader: TestMember | undefined
  await until('a leader that all see', () => {
    leader = leaderOf(members)
    const id = leader?.status().memberId
    return members.every((member) => member.status().leaderId === id)
  })
  return leader!
}
