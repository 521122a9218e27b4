import assert from 'node:assert/strict'
import { it } from 'node:test'
import { nearestName, suggestion } from './suggest.ts'

const names = ['replicas', 'restart_policy', 'resources', 'readiness_probe', 'env']

for (const [written, meant] of [
  ['replica', 'replicas'],
  ['RestartPolicy', 'restart_policy'],
  ['readyness_probe', 'readiness_probe'],
  ['envs', 'env'],
  ['completely_else', undefined],
  ['', undefined],
  ['x'.repeat(100_000), undefined],
] as const) {
  it(`takes ${written.slice(0, 20) || 'nothing'} for ${meant ?? 'no known name'}`, () => {
    assert.equal(nearestName(written, names), meant)
  })
}

it('puts the suggestion into words, or says nothing', () => {
  assert.equal(suggestion('replica', names), '; did you mean "replicas"?')
  assert.equal(suggestion('completely_else', names), '')
})
