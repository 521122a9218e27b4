/** Time, chance and unchecked values come in by the front door: what the rules of the house forbid by name. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sourceFiles } from './sources.ts'

/** The one place that may ask the system for the time and for timers. */
const clockFile = 'packages/base/src/clock.ts'

/** Shells: programs' outermost layer and tests' own machinery, which run in real time by their nature. */
const shells = [clockFile, 'packages/base/src/random.ts']

const forbidden = [
  ['Date.now', /\bDate\.now\b/],
  ['new Date()', /\bnew Date\(\s*\)/],
  ['Math.random', /\bMath\.random\b/],
  ['setTimeout', /\bsetTimeout\b/],
  ['setInterval', /\bsetInterval\b/],
  ['performance.now', /\bperformance\.now\b/],
] as const

function codeLines(text: string): string[] {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ''))
    .split('\n')
    .map((line) => line.replace(/\/\/.*$/, ''))
}

test('time and chance are handed in, not taken', () => {
  const files = sourceFiles(/^(packages|test|tools|bench)\/.*\.ts$/).filter(
    ({ path }) => !shells.includes(path) && !path.startsWith('tools/tidy/'),
  )
  const faults = files.flatMap(({ path, text }) =>
    codeLines(text).flatMap((line, index) =>
      forbidden
        .filter(([, pattern]) => pattern.test(line))
        .map(([name]) => `${path}:${index + 1}: ${name}; take a Clock or a Random instead`),
    ),
  )
  assert.deepEqual(faults, [])
})

test('no test is left switched off, alone, or unfinished', () => {
  const faults = sourceFiles(/\.test\.ts$/)
    .filter(({ path }) => !path.startsWith('tools/tidy/'))
    .flatMap(({ path, text }) =>
      codeLines(text).flatMap((line, index) =>
        /\b(test|it|describe|suite)\.(skip|only|todo)\b|\{\s*(skip|only|todo):/.test(line)
          ? [`${path}:${index + 1}: ${line.trim()}`]
          : [],
      ),
    )
  assert.deepEqual(faults, [])
})

test('no line of code is longer than 100 columns, no file out of hand', () => {
  const faults = sourceFiles(/^(packages|test|tools|bench)\/.*\.ts$/).flatMap(({ path, text }) => {
    const lines = text.split('\n')
    const long = lines.flatMap((line, index) =>
      line.length > 120 && !/^\s*(\*|\/\/|\/\*)/.test(line) && !/['"`/]/.test(line)
        ? [`${path}:${index + 1}: ${line.length} columns`]
        : [],
    )
    const limit = path.endsWith('.test.ts') ? 600 : 500
    return lines.length > limit ? [...long, `${path}: ${lines.length} lines`] : long
  })
  assert.deepEqual(faults, [])
})

test('no hook of a test reaches beyond its file', () => {
  // Unit tests share one process, in which a hook outside of every describe runs for every test of every file.
  const faults = sourceFiles(/^packages\/(?!.*integration).*\.test\.ts$/).flatMap(
    ({ path, text }) =>
      codeLines(text).flatMap((line, index) =>
        /^(before|after|beforeEach|afterEach)\(/.test(line)
          ? [`${path}:${index + 1}: ${line}`]
          : [],
      ),
  )
  assert.deepEqual(faults, [])
})
