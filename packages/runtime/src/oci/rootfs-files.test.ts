import assert from 'node:assert/strict'
import { test } from 'node:test'
import { directoriesOf } from './rootfs-files.ts'

test("finds a snapshot's directories, topmost first", () => {
  const options = ['workdir=/w', 'upperdir=/u', 'lowerdir=/b:/a']
  assert.deepEqual(directoriesOf([{ type: 'overlay', source: 'overlay', options }]), [
    '/u',
    '/b',
    '/a',
  ])
  assert.deepEqual(directoriesOf([{ type: 'bind', source: '/one', options: ['ro'] }]), ['/one'])
})
