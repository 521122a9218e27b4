/** Completion and help: made from the catalog, so every verb has both. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entries, groups } from './catalog.ts'
import { optionsOf } from './parse.ts'
import { route } from './route.ts'
import { aNode, aWorkload } from './testing/fake-state.ts'
import { startHarness } from './testing/harness.ts'

test('completion offers groups, verbs, options, choices and names', async (t) => {
  const { cli, state } = await startHarness(t)
  state.nodes.push(aNode({ name: 'alpha' }), aNode({ name: 'beta' }))
  state.workloads.push(aWorkload({ name: 'web' }))
  for (const [words, expected] of [
    [['wor'], 'workload\n'],
    [['node', 'dr'], 'drain\n'],
    [['node', 'drain', 'a'], 'alpha\n'],
    [['drain', ''], 'alpha\nbeta\n'],
    [['logs', 'w'], 'web\n'],
    [['vrn', ''], 'show\nfragments\n'],
    [['vrn', '--b'], '--by\n'],
    [['vrn', '--by', 'z'], 'zone\n'],
    [['simulate', 'loss', 'alpha', 'b'], 'beta\n'],
    [['scheduler', 'set', '--packing', 'b'], 'binpack\nbest_fit\n'],
    [['explain', 'w'], 'web\n'],
    [['node', 'list', '--reg'], '--region\n'],
    [['node', 'list', '-o', 'j'], 'json\n'],
    [['node', 'list', '--context', 'o'], 'other\n'],
    [['container', 'list', '--node', 'b'], 'beta\n'],
    [['apply', '-f', ''], ':files\n'],
    [['completion', 'z'], 'zsh\n'],
    [['get', 'workloads'], 'workloads\n'],
  ] as const) {
    const { out, code } = await cli(['__complete', '--', ...words])
    assert.deepEqual([out, code], [expected, 0], words.join(' '))
  }
})

test('the scripts are for their shells', async (t) => {
  const { cli } = await startHarness(t)
  assert.match((await cli('completion bash')).out, /complete -F/)
  assert.match((await cli('completion zsh')).out, /#compdef/)
  assert.match((await cli('completion fish')).out, /complete -c cloudlessctl/)
  assert.equal((await cli('completion tcsh')).code, 2)
})

test('every verb has help with examples that name it', async (t) => {
  const { cli } = await startHarness(t)
  for (const entry of entries.filter(({ hidden }) => !hidden)) {
    const { code, out } = await cli(`${entry.name} --help`)
    assert.equal(code, 0)
    assert.match(out, /Usage: cloudlessctl /, entry.name)
    assert.match(out, /Examples:\n {2}# /, entry.name)
    for (const line of out.split('\n')) assert.ok(line.length <= 130, `${entry.name}: ${line}`)
  }
  for (const group of groups) assert.equal((await cli(`${group.name} --help`)).code, 0)
  assert.match((await cli('--help')).out, /Exit codes:/)
})

test('every example is a command line that parses to its verb', async () => {
  const { parseInput } = await import('./parse.ts')
  for (const entry of entries) {
    const command = await entry.load()
    assert.ok(command.examples.length > 0, entry.name)
    for (const { line } of command.examples) {
      const words = wordsOf(line)
      const found = route(words)
      assert.equal(found.kind === 'verb' && found.entry.name, entry.name, line)
      if (found.kind === 'verb') parseInput(command, found.words)
    }
  }
})

test("a verb's options have letters of their own", async () => {
  for (const entry of entries) {
    const options = optionsOf(await entry.load())
    const letters = options.flatMap(({ short }) => (short === undefined ? [] : [short]))
    assert.equal(new Set(letters).size, letters.length, `${entry.name}: ${letters.join(' ')}`)
  }
})

/** The cloudlessctl part of an example: without pipes, redirections and the quotes of the shell. */
function wordsOf(line: string): string[] {
  const part = line.replace(/^.*?cloudlessctl /, '').replace(/(\s[|>].*|\))$/, '')
  return [...part.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? '')
}
