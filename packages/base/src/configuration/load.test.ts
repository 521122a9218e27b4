import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { formatAddress, parseAddress } from './address.ts'
import { describeSettings, printableConfiguration } from './describe.ts'
import { loadConfiguration } from './load.ts'
import type { Setting } from './setting.ts'

const settings = [
  { key: 'data_dir', type: 'string', default: '/var/lib/x', help: 'Where it keeps things.' },
  { key: 'raft.addr', type: 'address', default: '', help: 'Where peers connect.' },
  { key: 'raft.bootstrap', type: 'bool', default: false, help: 'Starts a cluster.' },
  { key: 'raft.peers', type: 'list', default: [], help: 'Peers.' },
  { key: 'heartbeat_interval', type: 'duration', default: 10_000, help: 'Beat.', min: 100 },
  { key: 'cache_size', type: 'bytes', default: 1_048_576, help: 'Cache.' },
  { key: 'workers', type: 'int', default: 4, help: 'Workers.', min: 1, max: 64 },
  { key: 'ratio', type: 'number', default: 0.5, help: 'Ratio.' },
  { key: 'labels', type: 'map', default: {}, help: 'Labels.' },
  { key: 'log_level', type: 'string', default: 'info', help: 'Level.', choices: ['info', 'debug'] },
  { key: 'secrets.key', type: 'string', default: '', help: 'Key.', secret: true },
  { key: 'resources.cpu', type: 'int', default: 0, help: 'CPU.', flag: 'cpu-cores' },
] as const satisfies readonly Setting[]

interface Given {
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly file?: unknown
}

const lines: Readonly<Record<string, number>> = { workers: 3, 'raft.adr': 5 }

function load({ args = [], env = {}, file }: Given) {
  return loadConfiguration(settings, {
    args: file === undefined ? args : ['--config', 'x.yaml', ...args],
    env,
    readFile: () => file,
    lineOf: (_path, key) => lines[key],
  })
}

function valuesOf(given: Given) {
  const result = load(given)
  assert.equal(result.kind, 'ok', JSON.stringify(result))
  return result.kind === 'ok' ? result.values : assert.fail()
}

function problemsOf(given: Given): readonly string[] {
  const result = load(given)
  return result.kind === 'invalid' ? result.problems : []
}

describe('a setting', () => {
  it('has its default when nothing is said', () => {
    const values = valuesOf({})
    assert.equal(values.heartbeat_interval, 10_000)
    assert.deepEqual(values['raft.peers'], [])
  })

  it('is said by a flag before a variable before the file', () => {
    const file = { workers: 1 }
    const env = { CLOUDLESS_WORKERS: '2' }
    const args = ['--workers', '3']
    for (const [given, value, source] of [
      [{ file }, 1, 'x.yaml:3: workers'],
      [{ file, env }, 2, 'CLOUDLESS_WORKERS'],
      [{ file, env, args }, 3, 'flag --workers'],
    ] as const) {
      const result = load(given)
      assert.ok(result.kind === 'ok')
      assert.equal(result.values.workers, value)
      assert.equal(result.sources.get('workers'), source)
      assert.equal(result.sources.get('ratio'), 'default')
    }
  })

  for (const [args, key, value] of [
    [['--data-dir=/x'], 'data_dir', '/x'],
    [['--raft-addr', '[::1]:3000'], 'raft.addr', '[::1]:3000'],
    [['--raft-bootstrap'], 'raft.bootstrap', true],
    [['--no-raft-bootstrap'], 'raft.bootstrap', false],
    [['--raft-bootstrap=off'], 'raft.bootstrap', false],
    [['--raft-peers', 'a, b', '--raft-peers=c'], 'raft.peers', ['a', 'b', 'c']],
    [['--labels', 'a=b=c,d=', '--labels', 'e=f'], 'labels', { a: 'b=c', d: '', e: 'f' }],
    [['--heartbeat-interval', '1h30m'], 'heartbeat_interval', 5_400_000],
    [['--cache-size', '2Gi'], 'cache_size', 2 ** 31],
    [['--ratio', '0.25'], 'ratio', 0.25],
    [['--cpu-cores', '3'], 'resources.cpu', 3],
    [['--workers', '1', '--workers', '2'], 'workers', 2],
  ] as const) {
    it(`${key} is read from ${args.join(' ')}`, () => {
      assert.deepEqual(valuesOf({ args })[key], value)
    })
  }

  it('stands in a section of the file', () => {
    const file = { raft: { addr: ':3000', peers: ['a'], bootstrap: null }, labels: { x: 1 } }
    const values = valuesOf({ file })
    assert.equal(values['raft.addr'], ':3000')
    assert.deepEqual(values['raft.peers'], ['a'])
    assert.equal(values['raft.bootstrap'], false)
    assert.deepEqual(values.labels, { x: '1' })
  })

  it('is not set by an empty variable', () => {
    assert.equal(valuesOf({ env: { CLOUDLESS_WORKERS: '' } }).workers, 4)
  })
})

describe('a fault', () => {
  for (const [given, problem] of [
    [{ args: ['--worker', '3'] }, 'flag --worker: is not known; did you mean --workers?'],
    [{ args: ['--workers'] }, 'flag --workers: needs a value'],
    [{ args: ['extra'] }, 'argument "extra": is not expected'],
    [{ args: ['--workers', '65'] }, 'flag --workers: "65" is above 64'],
    [{ args: ['--workers', '1e3'] }, 'flag --workers: "1e3" is not a whole number'],
    [{ args: ['--raft-bootstrap=constructor'] }, /"constructor" is not true or false/],
    [{ args: ['--log-level', 'loud'] }, 'flag --log-level: "loud" is none of info, debug'],
    [{ args: ['--raft-addr', 'x:99999'] }, /is not an address/],
    [{ args: ['--labels', '=x'] }, /is not a list of key=value/],
    [
      { env: { CLOUDLESS_HEARTBEAT_INTERVAL: '10ms' } },
      'CLOUDLESS_HEARTBEAT_INTERVAL: "10ms" is below 100ms',
    ],
    [
      { file: { heartbeat_interval: 30 } },
      'x.yaml: heartbeat_interval: 30 is not a duration like 300ms, 30s, 5m or 24h',
    ],
    [{ file: { workers: 'many' } }, 'x.yaml:3: workers: "many" is not a whole number'],
    [
      { file: { raft: { adr: ':1' } } },
      'x.yaml:5: raft.adr: is not known; did you mean raft.addr?',
    ],
    [{ file: { raft: 3 } }, 'x.yaml: raft: must be a section with keys'],
    [{ file: 'text' }, 'x.yaml: the file: must be a section with keys'],
    [{ file: { labels: { a: { b: 1 } } } }, /labels: .* is not a list of key=value/],
    [{ file: { raft: { peers: [['a']] } } }, /raft.peers: .* is not a list/],
  ] as [Given, string | RegExp][]) {
    it(`is named with its source: ${String(problem)}`, () => {
      const problems = problemsOf(given)
      assert.equal(problems.length, 1, problems.join('\n'))
      if (typeof problem === 'string') assert.equal(problems[0], problem)
      else assert.match(problems[0]!, problem)
    })
  }

  it('does not hide the others', () => {
    const problems = problemsOf({
      args: ['--nope'],
      env: { CLOUDLESS_RATIO: 'x' },
      file: { workers: 0, unknown_thing: 1 },
    })
    assert.equal(problems.length, 4)
  })

  it('in reading the file is one like the others', () => {
    const result = loadConfiguration(settings, {
      args: ['--nope'],
      env: { CLOUDLESS_CONFIG_FILE: 'gone.yaml' },
      readFile: () => {
        throw new Error('no such file')
      },
    })
    assert.ok(result.kind === 'invalid')
    assert.deepEqual(result.problems, ['flag --nope: is not known', 'gone.yaml: no such file'])
  })

  it('is all that can come of any input', () => {
    const text = fc.oneof(
      fc.string(),
      fc.constantFrom('--workers', '--raft-addr', '--', '-x', '--no-'),
    )
    fc.assert(
      fc.property(fc.array(text), fc.jsonValue({ maxDepth: 3 }), (args, file) => {
        const result = loadConfiguration(settings, { args, env: {}, readFile: () => file })
        if (result.kind === 'invalid') assert.ok(result.problems.length > 0)
        load({ file })
      }),
    )
  })
})

describe('a secret', () => {
  it('is shown nowhere', () => {
    const values = valuesOf({ env: { CLOUDLESS_SECRETS_KEY: 'hunter2' } })
    assert.equal(printableConfiguration(settings, values)['secrets.key'], '********')
    const strict = [{ ...settings[10], choices: ['other'] }] as const
    const result = loadConfiguration(strict, {
      args: ['--secrets-key', 'hunter2'],
      env: {},
      readFile: () => undefined,
    })
    assert.ok(result.kind === 'invalid')
    assert.deepEqual(result.problems, ['flag --secrets-key: its value is none of other'])
  })
})

describe('help', () => {
  it('has a line for every setting, with its default', () => {
    assert.equal(load({ args: ['--help'] }).kind, 'help')
    const text = describeSettings(settings)
    for (const line of [
      '--data-dir STRING',
      '--raft-addr HOST:PORT',
      '--log-level info|debug',
      '(default 10s)',
      '(default 1Mi)',
    ]) {
      assert.ok(text.includes(line), `${line} in\n${text}`)
    }
    assert.equal(text.split('\n').length, settings.length + 1)
  })
})

describe('an address', () => {
  for (const [text, address] of [
    ['0.0.0.0:8080', { host: '0.0.0.0', port: 8080 }],
    [':8080', { host: '', port: 8080 }],
    ['[::1]:80', { host: '::1', port: 80 }],
    ['my-host.local:0', { host: 'my-host.local', port: 0 }],
    ['::1:80', undefined],
    ['host', undefined],
    ['host:65536', undefined],
    ['ho st:1', undefined],
  ] as const) {
    it(`${text} is ${address === undefined ? 'none' : 'one'}`, () => {
      assert.deepEqual(parseAddress(text), address)
      if (address !== undefined) assert.equal(formatAddress(address), text)
    })
  }
})
