import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { readMemory, timersRemembered, writeMemory } from './memory.ts'

const day = 86_400_000

describe('the memory of a member', () => {
  const inFile = (property: string, check: (path: string) => void): void =>
    void it(property, () => {
      const directory = mkdtempSync(join(tmpdir(), 'cloudless-etcd-memory-'))
      try {
        check(join(directory, 'member.json'))
      } finally {
        rmSync(directory, { recursive: true })
      }
    })

  inFile('is empty at first, and comes back as it was written', (path) => {
    assert.deepEqual(readMemory(path), { peerAddresses: [] })
    const memory = {
      widened: { heartbeatMs: 40, electionMs: 400, atMs: 1 },
      peerAddresses: ['10.0.0.2:2380'],
    }
    writeMemory(path, memory)
    assert.deepEqual(readMemory(path), memory)
  })

  inFile('does without what is damaged', (path) => {
    for (const text of ['', '{', 'null', '7', '{"peerAddresses":7}']) {
      writeFileSync(path, text)
      assert.deepEqual(readMemory(path), { peerAddresses: [] }, text)
    }
    writeFileSync(path, '{"widened":{"heartbeatMs":"a"},"peerAddresses":["a","b:1"]}')
    assert.deepEqual(readMemory(path), { peerAddresses: ['b:1'] })
  })

  it('has timers for a week', () => {
    const timers = { heartbeatMs: 40, electionMs: 400 }
    const memory = { widened: { ...timers, atMs: 0 }, peerAddresses: [] }
    assert.deepEqual(timersRemembered(memory, 7 * day), timers)
    assert.equal(timersRemembered(memory, 7 * day + 1), undefined)
    assert.equal(timersRemembered({ peerAddresses: [] }, 0), undefined)
  })
})
