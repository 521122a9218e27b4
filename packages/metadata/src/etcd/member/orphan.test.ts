import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { judgeProcess } from './orphan.ts'

const question = {
  dataDirectory: '/data/etcd',
  binaryName: 'etcd-3.5',
  ownPid: 100,
  ownExecutable: '/usr/bin/node',
}
const ours = '--data-dir=/data/etcd'

describe('a process found at the start of etcd', () => {
  for (const [what, words, parentPid, parentExecutable, expected] of [
    ['etcd on our directory, its parent gone', ['/usr/bin/etcd', ours], 1, undefined, 'orphan'],
    ['the same by another name', ['/opt/etcd-3.5', '--name=a', ours], 1, undefined, 'orphan'],
    ['taken in by another', ['etcd', ours], 50, '/lib/systemd/systemd', 'orphan'],
    ['taken in by one that cannot be seen', ['etcd', ours], 50, undefined, 'orphan'],
    ['left by ourselves', ['etcd', ours], 100, '/usr/bin/node', 'orphan'],
    ['looked after by a coordinator', ['etcd', ours], 50, '/usr/bin/node', 'supervised'],
    ['the same, its Node replaced', ['etcd', ours], 50, '/opt/node (deleted)', 'supervised'],
    ['on another directory', ['etcd', '--data-dir=/data/etcd2'], 1, undefined, 'stranger'],
    ['an editor with our words', ['vi', ours], 1, undefined, 'stranger'],
    ['nothing', [], 1, undefined, 'stranger'],
  ] as const) {
    it(`is ${expected}: ${what}`, () => {
      const found = { pid: 7, arguments: words, parentPid, parentExecutable }
      assert.equal(judgeProcess(found, question), expected)
    })
  }
})
