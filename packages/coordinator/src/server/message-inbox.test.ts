import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MessageInbox } from './message-inbox.ts'

function openInbox() {
  const asked: string[] = []
  const inbox = new MessageInbox<number>({
    pause: () => asked.push('pause'),
    resume: () => asked.push('resume'),
  })
  return { inbox, asked }
}

test('messages are read in order, whether they or their reader come first', async () => {
  const { inbox } = openInbox()
  inbox.push(1)
  inbox.push(2)
  assert.deepEqual(await inbox.next(), { done: false, value: 1 })
  assert.deepEqual(await inbox.next(), { done: false, value: 2 })
  const waiting = inbox.next()
  inbox.push(3)
  assert.deepEqual(await waiting, { done: false, value: 3 })
})

test('what came before the end is read, then the end', async () => {
  const { inbox } = openInbox()
  inbox.push(1)
  inbox.end()
  inbox.push(2)
  assert.deepEqual(await Array.fromAsync(inbox), [1])
})

test('a reader that waits learns of the end', async () => {
  const { inbox } = openInbox()
  const waiting = inbox.next()
  inbox.close()
  assert.deepEqual(await waiting, { done: true, value: undefined })
})

test('the source is held while nobody reads, and goes on when all is read', async () => {
  const { inbox, asked } = openInbox()
  for (let n = 0; n < 100; n++) inbox.push(n)
  assert.deepEqual(asked, ['pause'])
  for (let n = 0; n < 100; n++) assert.equal((await inbox.next()).value, n)
  assert.deepEqual(asked, ['pause', 'resume'])
})
