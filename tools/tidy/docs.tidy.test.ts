/** The documents hold together: links lead somewhere, commands and codes that are named exist. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, posix } from 'node:path'
import { test } from 'node:test'
import { errorCodes } from '@cloudless/base'
import { root, sourceFiles } from './sources.ts'

const documents = sourceFiles(/\.md$/)

test('every link between documents leads to a file, and to a heading that is there', () => {
  const faults = documents.flatMap(({ path, text }) => {
    const prose = text.replace(/```[\s\S]*?```/g, '')
    const links = [...prose.matchAll(/\[[^\]]*\]\(([^)\s]+)\)/g)].map((match) => match[1]!)
    return links
      .filter((link) => !/^(https?|mailto):/.test(link))
      .filter((link) => !leadsSomewhere(path, link))
      .map((link) => `${path}: ${link}`)
  })
  assert.deepEqual(faults, [])
})

function leadsSomewhere(from: string, link: string): boolean {
  const [file = '', heading] = link.split('#')
  const target = file === '' ? from : posix.join(posix.dirname(from), file)
  if (!existsSync(join(root, target))) return false
  if (heading === undefined) return true
  const text = documents.find((document) => document.path === target)?.text ?? ''
  return [...text.matchAll(/^#+\s+(.+)$/gm)].some((match) => anchorOf(match[1]!) === heading)
}

/** As the usual renderers make them. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .trim()
    .replace(/ /g, '-')
}

test('every error code has its line in docs/operating/errors.md', () => {
  const text = documents.find(({ path }) => path === 'docs/operating/errors.md')?.text ?? ''
  for (const code of errorCodes) assert.ok(text.includes(`\`${code}\``), code)
})

test('every make target that a document names exists', () => {
  const makefile = sourceFiles(/^Makefile$/)[0]!.text
  const targets = new Set([...makefile.matchAll(/^([a-z-]+):/gm)].map((match) => match[1]!))
  const faults = documents.flatMap(({ path, text }) =>
    [...text.matchAll(/`(?:sudo )?make ([a-z-]+)/g)]
      .filter((match) => !targets.has(match[1]!))
      .map((match) => `${path}: make ${match[1]}`),
  )
  assert.deepEqual(faults, [])
})

test('every setting and every type of event has its line in the documents', () => {
  const textOf = (path: string): string =>
    documents.find((document) => document.path === path)?.text ?? ''
  for (const program of ['coordinator', 'agent']) {
    const help = execFileSync(join(root, 'bin', program), ['--help'], { encoding: 'utf8' })
    for (const [, flag = ''] of help.matchAll(/^ {2}(--[a-z-]+)/gm)) {
      assert.ok(textOf('docs/operating/configuration.md').includes(`\`${flag}\``), flag)
    }
  }
  const types = sourceFiles(/^packages\/observability\/src\/events\/event-types\.ts$/)[0]!.text
  for (const [, type = ''] of types.matchAll(/^ {2}'([a-z]+\.[a-z_]+)':/gm)) {
    assert.ok(textOf('docs/operating/events.md').includes(`\`${type}\``), type)
  }
})

test('the documented events and metrics are those there are', () => {
  const known = sourceFiles(/^packages\/observability\/src\/(events\/event-types|metrics\/.*)\.ts$/)
    .filter(({ path }) => !path.endsWith('.test.ts'))
    .map(({ text }) => text)
    .join('\n')
  const metrics = [...known.matchAll(/name: '([a-z_]+)'/g)].map((match) => match[1]!)
  const documented = documents.find(({ path }) => path === 'docs/operating/metrics.md')!.text
  const missing = metrics.filter((name) => !documented.includes(`\`${name}\``))
  assert.deepEqual(missing, [])
  const events = documents.find(({ path }) => path === 'docs/operating/events.md')!.text
  const invented = [...`${documented}\n${events}`.matchAll(/^\| `([a-z_.]+)`/gm)]
    .map((match) => match[1]!)
    .filter((name) => !known.includes(`'${name}'`))
  assert.deepEqual(invented, [])
})
