import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Code, ConnectError } from '@connectrpc/connect'
import { errorOfStart } from './start-errors.ts'

const prefix =
  'failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: '

test('makes the reasons of runc legible', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    [
      'exec: "/nope": stat /nope: no such file or directory: unknown',
      /"\/nope" is not in the image app:1/,
    ],
    ['exec: "nope": executable file not found in $PATH: unknown', /"nope" is not in the image/],
    ['exec: "/x": permission denied: unknown', /"\/x" in the image app:1 is not executable/],
    ['exec: "/etc": is a directory: unknown', /is not executable/],
    ['exec /x: exec format error: unknown', /for another processor/],
    ['exec /x: no such file or directory: unknown', /interpreter or loader/],
    [
      'error during container init: mkdir /etc/passwd: not a directory: unknown',
      /working directory \/etc\/passwd cannot be entered in app:1: not a directory\.$/,
    ],
    ['something new: unknown', /^Could not start container web: something new$/],
  ]
  for (const [text, message] of cases) {
    const error = errorOfStart(new ConnectError(prefix + text, Code.Unknown), {
      containerId: 'web',
      image: 'app:1',
    })
    assert.match(error.message, message)
    assert.equal(error.code, 'failed_precondition', text)
  }
})

test('keeps what is not about the container apart', () => {
  const of = (text: string, code: Code): string =>
    errorOfStart(new ConnectError(text, code), { containerId: 'web', image: 'app:1' }).code
  assert.equal(of('connect ECONNREFUSED /run/x.sock', Code.Unavailable), 'unavailable')
  assert.equal(of(`${prefix}write x: no space left on device`, Code.Unknown), 'resource_exhausted')
  assert.equal(of('boom', Code.Unknown), 'internal')
})
