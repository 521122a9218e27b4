import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import {
  makePrivateDirectory,
  removeDurably,
  writeDurably,
  writeDurablySync,
} from './durable-file.ts'

describe('durable files', () => {
  let directory: string
  before(async () => (directory = await mkdtemp(join(tmpdir(), 'cloudless-base-'))))
  after(() => rm(directory, { recursive: true, force: true }))

  it('of content that fails on the way leave the old, and nothing beside', async () => {
    const path = join(directory, 'in-pieces')
    await writeDurably(path, 'old')
    async function* pieces(fail: boolean): AsyncGenerator<Uint8Array> {
      yield Buffer.from('one ')
      if (fail) throw new Error('cut')
      yield Buffer.from('two')
    }
    await assert.rejects(writeDurably(path, pieces(true)), /cut/)
    assert.equal(await readFile(path, 'utf8'), 'old')
    assert.deepEqual(
      (await readdir(directory)).filter((file) => file.startsWith('in-pieces.')),
      [],
    )
    await writeDurably(path, pieces(false))
    assert.equal(await readFile(path, 'utf8'), 'one two')
  })

  for (const [name, write] of [
    ['awaited', writeDurably],
    [
      'written at once',
      async (...given: Parameters<typeof writeDurablySync>) => writeDurablySync(...given),
    ],
  ] as const) {
    it(`${name}: hold the new content, for the owner only, and leave nothing beside`, async () => {
      const path = join(directory, name)
      await write(path, 'old')
      await write(path, new Uint8Array([1, 2, 3]))
      assert.deepEqual(new Uint8Array(await readFile(path)), new Uint8Array([1, 2, 3]))
      assert.equal((await stat(path)).mode & 0o777, 0o600)
      await write(path, 'text', { mode: 0o644 })
      assert.equal(await readFile(path, 'utf8'), 'text')
      assert.equal((await stat(path)).mode & 0o777, 0o644)
      assert.deepEqual(
        (await readdir(directory)).filter((file) => file.endsWith('.tmp')),
        [],
      )
    })

    it(`${name}: keep the old content when the new cannot be put in place`, async () => {
      const path = join(directory, `${name} directory`)
      await mkdir(path)
      await writeFile(join(path, 'inside'), 'x')
      await assert.rejects(write(path, 'new'))
      assert.equal(await readFile(join(path, 'inside'), 'utf8'), 'x')
      assert.deepEqual(
        (await readdir(directory)).filter((file) => file.endsWith('.tmp')),
        [],
      )
      await assert.rejects(write(join(directory, 'missing', 'file'), 'x'), { code: 'ENOENT' })
    })
  }

  it('show a reader the old or the new, never a part', async () => {
    const path = join(directory, 'raced')
    const contents = ['a'.repeat(200_000), 'b'.repeat(200_000)]
    await writeDurably(path, contents[0]!)
    let writing = Promise.resolve()
    for (let n = 0; n < 10; n++) {
      const content = contents[n % 2]!
      writing = writing.then(() => writeDurably(path, content))
    }
    const reads = Array.from({ length: 20 }, () => readFile(path, 'utf8'))
    for (const text of await Promise.all(reads)) assert.ok(contents.includes(text))
    await writing
  })

  it('are gone when removed, also when they were never there', async () => {
    const path = join(directory, 'gone')
    await writeDurably(path, 'x')
    await removeDurably(path)
    await removeDurably(path)
    await assert.rejects(stat(path), { code: 'ENOENT' })
  })

  it('lie in directories only their owner enters', async () => {
    const path = join(directory, 'private', 'deep')
    makePrivateDirectory(path)
    makePrivateDirectory(path)
    assert.equal((await stat(path)).mode & 0o777, 0o700)
  })
})
