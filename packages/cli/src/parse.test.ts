import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Command, CommandInput } from './command.ts'
import { UsageError } from './exit-code.ts'
import { parseInput } from './parse.ts'

const command: Command = {
  description: '',
  examples: [],
  arguments: [
    { name: 'NODE', help: '', completes: 'node' },
    { name: 'REST', help: '', optional: true, variadic: true },
  ],
  options: [
    { name: 'graceful', kind: 'flag', default: 'true', help: '' },
    { name: 'force', short: 'f', kind: 'flag', help: '' },
    { name: 'env', short: 'e', kind: 'pairs', help: '' },
    { name: 'zone', kind: 'list', help: '' },
    { name: 'tail', kind: 'integer', default: '100', help: '' },
    { name: 'timeout', kind: 'duration', default: '5m', help: '' },
  ],
  run: async () => 0,
}

function parse(...words: string[]): CommandInput {
  return parseInput(command, words)
}

test('defaults hold until something is typed', () => {
  const { options } = parse('a')
  assert.deepEqual(
    [options.flag('graceful'), options.flag('force'), options.integer('tail')],
    [true, false, 100],
  )
  assert.deepEqual([options.durationMs('timeout'), options.list('zone')], [300_000, []])
  assert.equal(options.has('tail'), false)
})

test('flags are turned off by =false and by --no-', () => {
  for (const off of ['--graceful=false', '--no-graceful']) {
    assert.equal(parse('a', off).options.flag('graceful'), false)
  }
  assert.equal(parse('a', '--graceful=true').options.flag('graceful'), true)
  assert.equal(parse('--force=false', 'a').options.flag('force'), false)
  assert.equal(parse('--graceful', 'a').arguments[0], 'a', 'a flag takes no value')
})

test('a global flag that starts with no- is not a negation', () => {
  assert.equal(parse('a', '--no-headers').options.flag('no-headers'), true)
  assert.equal(parse('a').options.flag('no-headers'), false)
})

test('pairs are split at commas that start another pair', () => {
  const { options } = parse('a', '-e', 'A=1,B=2', '--env', 'LIST=x,y', '-e', 'EMPTY=')
  assert.deepEqual(options.pairs('env'), { A: '1', B: '2', LIST: 'x,y', EMPTY: '' })
})

test('what follows -- is taken as it is', () => {
  assert.deepEqual(parse('a', '--', '--tail', '-e').arguments, ['a', '--tail', '-e'])
})

test('the names that -o name prints are taken back', () => {
  assert.deepEqual(parse('node/a', 'node/b').arguments, ['a', 'node/b'])
})

test('options stand before and after arguments, short ones together', () => {
  const { options, arguments: given } = parse('-fe', 'A=1', 'a', '--tail=-1')
  assert.deepEqual([options.flag('force'), options.integer('tail'), given], [true, -1, ['a']])
})

test('whatever is typed is parsed or is a mistake of usage', () => {
  const word = fc.oneof(
    fc.constantFrom(
      '--tail',
      '--env',
      '-e',
      '--',
      '-',
      '--no-',
      '--=',
      '-fff',
      '--graceful=',
      'A=',
      '=B',
    ),
    fc.string({ maxLength: 8 }),
  )
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), (words) => {
      try {
        parseInput(command, words)
      } catch (reason) {
        assert.ok(reason instanceof UsageError, String(reason))
      }
    }),
    { numRuns: 300 },
  )
})
