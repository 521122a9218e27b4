import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { yamlConfigurationFiles } from '@cloudless/api/configuration-file'
import { loadConfiguration } from '@cloudless/base'
import { optionsOf } from './options.ts'
import { coordinatorSettings } from './settings.ts'

const sample = new URL('../../../../config/coordinator.yaml', import.meta.url).pathname

function load(args: readonly string[], env: Record<string, string> = {}) {
  return loadConfiguration(coordinatorSettings, {
    args,
    env,
    ...yamlConfigurationFiles((path) => readFileSync(path, 'utf8')),
  })
}

function valuesOf(args: readonly string[], env: Record<string, string> = {}) {
  const result = load(args, env)
  assert.equal(result.kind, 'ok', JSON.stringify(result))
  return result.kind === 'ok' ? result.values : assert.fail()
}

describe("the coordinator's sample configuration", () => {
  it('loads, and says nothing but the defaults', () => {
    assert.deepEqual(valuesOf(['--config', sample]), valuesOf([]))
  })

  it('names every setting', () => {
    const text = readFileSync(sample, 'utf8')
    for (const { key } of coordinatorSettings) {
      assert.match(text, new RegExp(`^\\s*${key.split('.').at(-1)!}:`, 'm'), key)
    }
  })
})

describe("the coordinator's settings", () => {
  it('are taken from flags before variables before the file', () => {
    const env = { CLOUDLESS_LOG_LEVEL: 'warn', CLOUDLESS_RAFT_ID: 'from-env' }
    const values = valuesOf(['--config', sample, '--raft-id', 'from-flag'], env)
    assert.deepEqual([values.log_level, values['raft.id']], ['warn', 'from-flag'])
  })

  it('that are wrong are refused together, each with its source', () => {
    const result = load(
      ['--log-level', 'loud', '--tls-node-certificate-ttl', '1ms', '--no-such-flag', 'x'],
      { CLOUDLESS_API_RATE_LIMIT: 'many' },
    )
    assert.equal(result.kind, 'invalid')
    const problems = result.kind === 'invalid' ? result.problems.join('\n') : ''
    for (const source of ['--log-level', '--tls-node-certificate-ttl', '--no-such-flag']) {
      assert.match(problems, new RegExp(source))
    }
    assert.match(problems, /CLOUDLESS_API_RATE_LIMIT/)
  })

  it('give the scheduler at least one weight', () => {
    const names = ['locality', 'reliability', 'cost', 'utilization', 'network-penalty']
    const none = names.flatMap((name) => [`--scheduler-scoring-${name}-weight`, '0'])
    assert.throws(() => optionsOf(valuesOf(none)), { message: /weights must not all be 0/ })
    const { weights, spreadTopology } = optionsOf(
      valuesOf([...none.slice(2), '--scheduler-spread-topology', 'none']),
    ).scheduler
    assert.deepEqual([weights.locality, weights.cost, spreadTopology], [0.3, 0, ''])
  })
})
