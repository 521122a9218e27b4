import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { buildFacts } from './build-facts.ts'

const hash = 'a1'.repeat(20)

function checkoutOf(t: TestContext, files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), 'cloudless-build-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text.replaceAll('HERE', directory))
  }
  return directory
}

describe('the facts of a build', () => {
  const head = 'ref: refs/heads/main\n'
  const cases: readonly [string, Record<string, string>, string | undefined][] = [
    ['a branch', { '.git/HEAD': head, '.git/refs/heads/main': `${hash}\n` }, hash],
    ['a packed branch', { '.git/HEAD': head, '.git/packed-refs': `${hash} refs/heads/main` }, hash],
    ['a commit by itself', { '.git/HEAD': hash }, hash],
    [
      'a linked work tree',
      {
        '.git': 'gitdir: HERE/store/worktrees/one\n',
        'store/worktrees/one/HEAD': head,
        'store/worktrees/one/commondir': '../..\n',
        'store/refs/heads/main': hash,
      },
      hash,
    ],
    ['a branch without a commit', { '.git/HEAD': head }, undefined],
    ['something else', { '.git/HEAD': 'nonsense' }, undefined],
    ['no checkout', { README: 'hello' }, undefined],
  ]
  for (const [what, files, commit] of cases) {
    it(`are read from ${what}`, (t) => {
      assert.equal(buildFacts({}, checkoutOf(t, files)).gitCommit, commit)
    })
  }

  it('are what the packager says', (t) => {
    const directory = checkoutOf(t, { '.git/HEAD': hash })
    const env = { CLOUDLESS_GIT_COMMIT: 'v1', CLOUDLESS_BUILD_TIME: '2026-01-01' }
    assert.deepEqual(buildFacts(env, directory), { gitCommit: 'v1', buildTime: '2026-01-01' })
  })
})
