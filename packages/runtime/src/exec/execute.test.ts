import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OciProcess } from '../oci/oci-spec.ts'
import { execProcessOf } from './execute.ts'

const own: OciProcess = {
  terminal: false,
  user: { uid: 5, gid: 6, additionalGids: [] },
  args: ['/server'],
  env: ['A=1=x', 'B=2'],
  cwd: '/work',
  capabilities: { bounding: [], effective: [], permitted: [] },
  rlimits: [],
  noNewPrivileges: true,
}
const request = { command: ['sh'], env: { B: '3' }, workingDir: '', tty: false, stdin: false }

test('executes as the container itself, with what the request changes', () => {
  const plain = execProcessOf(own, request)
  assert.deepEqual(plain, { ...own, args: ['sh'], env: ['A=1=x', 'B=3'] })
  const size = { columns: 80, rows: 24 }
  const terminal = execProcessOf(own, { ...request, tty: true, size, workingDir: '/x' })
  assert.equal(terminal.terminal, true)
  assert.equal(terminal.cwd, '/x')
  assert.ok(terminal.env.includes('TERM=xterm'))
  assert.deepEqual(terminal.consoleSize, { width: 80, height: 24 })
})
