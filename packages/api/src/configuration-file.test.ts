import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { loadConfiguration, type Setting } from '@cloudless/base'
import { yamlConfigurationFiles } from './configuration-file.ts'

const settings = [
  { key: 'workers', type: 'int', default: 4, help: '' },
  { key: 'raft.addr', type: 'address', default: '', help: '' },
  { key: 'raft.heartbeat', type: 'duration', default: 1_000, help: '' },
  { key: 'labels', type: 'map', default: {}, help: '' },
] as const satisfies readonly Setting[]

function load(text: string) {
  return loadConfiguration(settings, {
    args: ['--config', 'c.yaml'],
    env: {},
    ...yamlConfigurationFiles(() => text),
  })
}

describe('a configuration file', () => {
  it('is read with its sections, comments and lists', () => {
    const result = load(
      '# Comment\nworkers: 2\nraft:\n  addr: "[::1]:80"\n  heartbeat: 2s\nlabels:\n  a: b\n',
    )
    assert.ok(result.kind === 'ok', JSON.stringify(result))
    assert.deepEqual(
      { ...result.values },
      { workers: 2, 'raft.addr': '[::1]:80', 'raft.heartbeat': 2_000, labels: { a: 'b' } },
    )
    assert.equal(result.sources.get('raft.heartbeat'), 'c.yaml:5: raft.heartbeat')
  })

  it('may be empty, and may have dotted keys', () => {
    assert.equal(load('').kind, 'ok')
    const result = load('\nraft.addr: :1\n')
    assert.ok(result.kind === 'ok')
    assert.equal(result.sources.get('raft.addr'), 'c.yaml:2: raft.addr')
  })

  for (const [property, text, ...problems] of [
    [
      'has every fault named with its line',
      'workers: many\nraft:\n  adr: x\n  heartbeat: soon\n',
      'c.yaml:3: raft.adr: is not known; did you mean raft.addr?',
      'c.yaml:1: workers: "many" is not a whole number',
      'c.yaml:4: raft.heartbeat: "soon" is not a duration like 300ms, 30s, 5m or 24h',
    ],
    ['is YAML', 'workers: [', /^c.yaml: line 1 is not well-formed YAML/],
    ['has each key once', 'workers: 1\nworkers: 2\n', /^c.yaml: line 2 .*unique/],
    ['is not huge', `# ${'x'.repeat(1_100_000)}`, /too large/],
    [
      'is not a bomb',
      `a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [${Array(10).fill('*a').join()}]\nworkers: [${Array(20).fill('*b').join()}]`,
      /alias/i,
    ],
  ] as [string, string, ...(string | RegExp)[]][]) {
    it(property, () => {
      const result = load(text)
      assert.ok(result.kind === 'invalid')
      assert.equal(result.problems.length, problems.length, result.problems.join('\n'))
      for (const [index, problem] of problems.entries()) {
        if (typeof problem === 'string') assert.equal(result.problems[index], problem)
        else assert.match(result.problems[index]!, problem)
      }
    })
  }
})
