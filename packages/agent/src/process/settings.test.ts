import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { yamlConfigurationFiles } from '@cloudless/api/configuration-file'
import { loadConfiguration } from '@cloudless/base'
import { meteredLinkOf, nodeNameOf, runtimeOptionsOf, taintsOf } from './options-of.ts'
import { agentSettings } from './settings.ts'

const sample = new URL('../../../../config/agent.yaml', import.meta.url).pathname

function load(args: readonly string[], env: Record<string, string> = {}) {
  return loadConfiguration(agentSettings, {
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

describe('the sample configuration', () => {
  it('loads, and says nothing but the defaults', () => {
    assert.deepEqual(valuesOf(['--config', sample]), valuesOf([]))
  })

  it('names every setting', () => {
    const text = readFileSync(sample, 'utf8')
    for (const { key } of agentSettings) {
      const leaf = key.split('.').at(-1)!
      assert.match(text, new RegExp(`^\\s*${leaf}:`, 'm'), key)
    }
  })
})

describe('settings', () => {
  it('have the flags people know', () => {
    const values = valuesOf(['--cpu-cores', '2', '--memory-mb', '2048', '--node-name', 'edge-1'])
    assert.equal(values['resources.cpu_cores'], 2)
    assert.equal(values['resources.memory_mb'], 2048)
    assert.equal(nodeNameOf(values), 'edge-1')
  })

  it('are taken from flags before variables before the file', () => {
    const env = { CLOUDLESS_ZONE: 'from-env', CLOUDLESS_REGION: 'from-env' }
    const values = valuesOf(['--config', sample, '--zone', 'from-flag'], env)
    assert.deepEqual([values.zone, values.region], ['from-flag', 'from-env'])
  })

  it('that are wrong are refused together', () => {
    const result = load(['--log-level', 'loud', '--memory-mb=-1', '--no-such-flag', 'x'])
    assert.equal(result.kind === 'invalid' && result.problems.length, 3)
  })

  it('say of the link what its owner knows, or leave it to be looked at', () => {
    const of = (...args: readonly string[]) => meteredLinkOf(valuesOf(args))
    assert.equal(of(), undefined)
    assert.deepEqual([of('--node-metered', 'yes'), of('--node-metered', 'no')], [true, false])
    assert.equal(load(['--node-metered', 'maybe']).kind, 'invalid')
  })

  it('become mirrors and taints', () => {
    const values = valuesOf(['--images-mirrors', 'docker.io=a:1+b:2', '--taints', 'k=v:NoSchedule'])
    assert.deepEqual(runtimeOptionsOf(values).registries?.mirrors, { 'docker.io': ['a:1', 'b:2'] })
    assert.deepEqual(
      taintsOf(values).map(({ key, value, effect }) => [key, value, effect]),
      [['k', 'v', 'NoSchedule']],
    )
    assert.throws(() => taintsOf(valuesOf(['--taints', 'nonsense'])), { code: 'invalid_argument' })
  })
})
