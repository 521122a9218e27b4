import assert from 'node:assert/strict'
import { test } from 'node:test'
import { foreignRoute } from './foreign-route.ts'

const ours = '10.244.1.0/24 via 10.66.0.254 dev cloudless0 '

test('routes of our own, or none, are no hindrance', () => {
  for (const listed of ['', '\n', ours, `${ours}\n${ours}\n`]) {
    assert.equal(foreignRoute(listed, 'cloudless0'), undefined)
  }
})

test('a route over any other device is named', () => {
  for (const foreign of [
    '10.244.2.0/24 dev cni0 proto kernel scope link src 10.244.2.1',
    '10.244.0.0/16 via 10.1.1.1 dev cloudless00',
    'blackhole 10.244.7.0/24',
  ]) {
    assert.equal(foreignRoute(`${ours}\n${foreign} \n`, 'cloudless0'), foreign)
  }
})
