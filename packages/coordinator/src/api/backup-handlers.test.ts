import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { BackupClusterRequestSchema } from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'
import { BackupMaker, backupMsMax } from '../backup/backup-maker.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { backupHandlers } from './backup-handlers.ts'

/** A megabyte that does not compress, in several chunks. */
function world() {
  let open = 0
  const made: string[] = []
  const clock = new FakeClock()
  const entries = Array.from({ length: 10 }, (_, n) => ({
    ...{ key: `nodes/${n}`, value: randomBytes(100_000) },
    ...{ createRevision: 1, modRevision: 1 },
  }))
  const backups = new BackupMaker({
    clock,
    clusterId: 'cluster-a',
    trustDomain: 'cloudless',
    caFiles: () => ({ keyPem: 'K', certificatePem: 'C', tokenKey: 'T' }),
    store: {
      snapshot: async () => {
        open++
        let isOpen = true
        return {
          revision: 1,
          list: async (_, { afterKey = '' } = {}) => {
            if (!isOpen) throw new CloudlessError('unavailable', 'the snapshot is closed')
            const rest = entries.filter(({ key }) => key > afterKey)
            return { entries: rest.slice(0, 2), revision: 1, more: rest.length > 2 }
          },
          close: async () => {
            if (isOpen) open--
            isOpen = false
          },
        }
      },
    },
  })
  const { backupCluster } = backupHandlers({
    backups,
    onMade: (summary) => void made.push(String(summary.entries)),
  })
  const request = create(BackupClusterRequestSchema, {
    protection: { case: 'key', value: new Uint8Array(32) },
  })
  const ask = (signal = new AbortController().signal) => backupCluster(request, { signal })
  return { clock, ask, made, openSnapshots: () => open }
}

async function drain(messages: AsyncIterable<unknown>): Promise<number> {
  let count = 0
  for await (const _ of messages) count++
  return count
}

test('a backup is told and its snapshot closed when it is done', async () => {
  const { ask, made, openSnapshots } = world()
  assert.ok((await drain(ask())) > 10)
  assert.deepEqual([made, openSnapshots()], [['10'], 0])
})

test('who leads no longer ends the backups it makes', async () => {
  const { ask, made, openSnapshots } = world()
  const term = new AbortController()
  const messages = ask(term.signal)
  for (let n = 0; n < 3; n++) assert.equal((await messages.next()).done, false)
  term.abort(new CloudlessError('unavailable', 'this coordinator leads no longer'))
  await assert.rejects(drain(messages), { code: 'unavailable' })
  assert.deepEqual([made, openSnapshots()], [[], 0])
})

test('a third backup at once is refused, and one whose reader left makes room', async () => {
  const { ask, openSnapshots } = world()
  const [first, second] = [ask(), ask()]
  await Promise.all([first.next(), second.next()])
  await assert.rejects(ask().next(), { code: 'resource_exhausted' })
  await first.return(undefined)
  assert.ok((await drain(ask())) > 10)
  await second.return(undefined)
  assert.equal(openSnapshots(), 0)
})

test('a backup that nobody reads ends after a while', async () => {
  const { clock, ask, openSnapshots } = world()
  const messages = ask()
  await messages.next()
  clock.advance(backupMsMax)
  assert.equal(openSnapshots(), 0)
  await assert.rejects(drain(messages), { code: 'unavailable' })
})
