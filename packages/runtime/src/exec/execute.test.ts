import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostsText, nameServersIn, resolvConfText } from '../container/generated-files.ts'
import { signalNumber } from '../container/stopper.ts'
import { forwardingRules } from '../network/forwarding.ts'
import { bridgeConfiguration } from '../network/network-configuration.ts'
import { directoriesOf } from '../oci/rootfs-files.ts'
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

test('understands signals as images name them', () => {
  const cases = [
    ['SIGTERM', 15],
    ['term', 15],
    ['SIGQUIT', 3],
    ['9', 9],
    ['', 15],
    ['SIGNONE', 15],
  ] as const
  for (const [text, number] of cases) assert.equal(signalNumber(text), number, text)
})

test('gives containers name servers that they can reach', () => {
  const text =
    'search x\nnameserver 127.0.0.53\n nameserver 10.0.0.1\n#nameserver 9.9.9.9\nnameserver ::1\n'
  assert.deepEqual(nameServersIn(text), ['10.0.0.1'])
  assert.equal(resolvConfText(['10.0.0.1'], ['a', 'b']), 'search a b\nnameserver 10.0.0.1\n')
  assert.match(hostsText('web-1', '10.1.1.2'), /^10\.1\.1\.2\tweb-1$/m)
  assert.doesNotMatch(hostsText('web-1', ''), /web-1/)
})

test('asks for an address only where there is one to ask for', () => {
  const options = {
    bridgeName: 'b',
    podCidr: '10.1.0.0/16',
    addressDirectory: '/a',
    mtu: undefined,
  }
  const without = bridgeConfiguration({ ...options, address: undefined })
  assert.equal('args' in without, false)
  assert.equal('mtu' in without, false)
  const { args } = bridgeConfiguration({ ...options, address: '10.1.0.9' })
  assert.deepEqual(args, { cni: { ips: ['10.1.0.9/16'] } })
})

test('masquerades what leaves the cluster and nothing else', () => {
  const rules = forwardingRules({
    podCidr: '10.1.2.0/24',
    clusterCidr: '10.1.0.0/16',
    bridgeName: 'b',
  })
  const [masquerade] = rules
  assert.equal(masquerade?.chain, 'POSTROUTING')
  assert.deepEqual(masquerade?.rule.slice(0, 5), ['-s', '10.1.2.0/24', '!', '-d', '10.1.0.0/16'])
})

test("finds a snapshot's directories, topmost first", () => {
  const options = ['workdir=/w', 'upperdir=/u', 'lowerdir=/b:/a']
  assert.deepEqual(directoriesOf([{ type: 'overlay', source: 'overlay', options }]), [
    '/u',
    '/b',
    '/a',
  ])
  assert.deepEqual(directoriesOf([{ type: 'bind', source: '/one', options: ['ro'] }]), ['/one'])
})
