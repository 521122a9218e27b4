import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { JoinTokenRecordSchema, JoinTokenSchema, type JoinTokenRecord } from '@cloudless/api'
import { openCluster } from '../testing/cluster.ts'
import { putRecord, unchanged } from './cluster-state.ts'
import { CommittedTogether, type Draft } from './committed-together.ts'

const tokenId = 'jt-1'

/** Uses of one token: each of them changes the same record. */
async function openUses(t: TestContext, maxUses: number) {
  const cluster = await openCluster(t)
  const { state } = cluster
  await cluster.put('token', { [tokenId]: tokenOf({ maxUses }) })

  const beforeDraft = { act: (): void => undefined }
  function beginDraft(): Draft<string, number> {
    beforeDraft.act()
    const held = state.held('token', tokenId)!
    let token = held.record.joinToken!
    return {
      bytes: 0,
      mustBeAlone: (name) => name.startsWith('alone'),
      add(name) {
        if (token.uses >= token.maxUses) throw new Error('used up')
        token = { ...token, uses: token.uses + 1, usedBy: [...token.usedBy, name] }
        return token.uses
      },
      get decision() {
        const after = { ...held.record, joinToken: token }
        return {
          preconditions: [unchanged('token', held)],
          writes: [putRecord('token', tokenId, after)],
        }
      },
    }
  }
  const together = new CommittedTogether(state, beginDraft)
  const usedBy = () => state.get('token', tokenId)!.joinToken!.usedBy
  return { state, together, usedBy, beforeDraft }
}

function tokenOf(facts: {
  readonly maxUses: number
  readonly description?: string
}): JoinTokenRecord {
  const joinToken = create(JoinTokenSchema, { id: tokenId, ...facts })
  return create(JoinTokenRecordSchema, { joinToken })
}

test('what comes while another is committed is committed in one transaction, in order', async (t) => {
  const { state, together, usedBy } = await openUses(t, 100)
  const before = state.revision
  const names = Array.from({ length: 50 }, (_, n) => `pi-${n}`)
  const uses = await Promise.all(names.map((name) => together.commit(name)))
  assert.deepEqual(
    uses,
    names.map((_, n) => n + 1),
  )
  assert.deepEqual(usedBy(), names)
  assert.equal(state.revision - before, 2, 'the first alone, then all that came meanwhile')
})

test('one that may not be is told so, and the others go on', async (t) => {
  const { together, usedBy } = await openUses(t, 3)
  const results = await Promise.allSettled(
    ['a', 'b', 'c', 'd', 'e'].map((name) => together.commit(name)),
  )
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected'],
  )
  assert.deepEqual(usedBy(), ['a', 'b', 'c'])
})

test('one that must be alone shares its transaction with nobody', async (t) => {
  const { state, together, usedBy } = await openUses(t, 100)
  const before = state.revision
  const names = ['a', 'b', 'alone', 'c', 'd']
  await Promise.all(names.map((name) => together.commit(name)))
  assert.deepEqual(usedBy(), names)
  assert.equal(state.revision - before, 4, 'a; b; alone; c and d')
})

test('when another writer was sooner, each is decided anew, and told on its own', async (t) => {
  const { state, together, usedBy, beforeDraft } = await openUses(t, 100)
  const first = together.commit('a')
  const rest = ['b', 'c', 'd'].map((name) => together.commit(name))
  let rival: Promise<unknown> | undefined
  // Reaches the store before the transaction of the rest, which is decided without it.
  beforeDraft.act = () => {
    const limited = tokenOf({ maxUses: 2 })
    rival ??= state.write({ preconditions: [], writes: [putRecord('token', tokenId, limited)] })
  }
  const results = await Promise.allSettled([first, ...rest])
  await rival
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 3, 'a, and two more')
  assert.equal(usedBy().length, 2)
})
