import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isTooOld, losesData, parseEtcdFlags, parseEtcdVersion } from './binary.ts'

describe('the etcd program', () => {
  for (const [text, expected] of [
    ['etcd Version: 3.4.23\nGit SHA: Not provided\n', '3.4.23'],
    ['etcd Version: 3.6.0-rc.1\nGo Version: go1.23\n', '3.6.0-rc.1'],
    ['warning: something\netcd Version: 3.5.16\n', '3.5.16'],
    ['etcdctl version: 3.4.23\n', undefined],
    ['', undefined],
  ] as const) {
    it(`is ${expected ?? 'something else'} when it says ${JSON.stringify(text)}`, () => {
      assert.equal(parseEtcdVersion(text), expected)
    })
  }

  for (const [version, expected] of [
    ['2.3.8', true],
    ['3.3.25', true],
    ['3.4.0', false],
    ['3.6.0-rc.1', false],
    ['3.10.0', false],
    ['4.0.0', false],
  ] as const) {
    it(`is ${expected ? 'too old' : 'fine'} at ${version}`, () => {
      assert.equal(isTooOld(version), expected)
    })
  }

  it('is not one of those that lose data', () => {
    for (const version of ['3.5.0', '3.5.5', '3.5.1-rc.1']) assert.equal(losesData(version), true)
    for (const version of ['3.4.0', '3.5.6', '3.5.20', '3.6.1']) {
      assert.equal(losesData(version), false)
    }
  })

  it('knows the flags that its help lists', () => {
    const help =
      "Member:\n  --name 'default'\n    Human-readable --other name.\n  --enable-v2 'false'"
    assert.deepEqual([...parseEtcdFlags(help)], ['name', 'enable-v2'])
  })
})
