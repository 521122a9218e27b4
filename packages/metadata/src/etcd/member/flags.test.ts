import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { flagsFor, type EtcdLaunch } from './flags.ts'

const launch: EtcdLaunch = {
  name: 'm1',
  peerAddress: '10.0.0.1:2380',
  clientAddress: '127.0.0.1:2379',
  dataDirectory: '/data/etcd',
  pairPath: '/data/tls/member.pem',
  caPath: '/data/tls/ca.pem',
  clusterId: 'abc',
  quotaBytes: 1_000,
  timers: { heartbeatMs: 20, electionMs: 200 },
  isRecovering: false,
}
const others = [
  { name: 'm2', peerAddress: '10.0.0.2:2380' },
  { name: 'm1', peerAddress: '10.0.0.1:2380' },
]

function flagOf(name: string, difference: Partial<EtcdLaunch> = {}, known: string[] = []): string {
  const flags = flagsFor({ ...launch, ...difference }, new Set(known))
  return flags.find((flag) => flag.startsWith(`--${name}=`))?.slice(name.length + 3) ?? ''
}

describe('the flags of etcd', () => {
  const experimental = 'experimental-initial-corrupt-check'
  const skip = 'peer-skip-client-san-verification'
  for (const [flag, difference, known, expected] of [
    ['initial-cluster', {}, [], 'm1=https://10.0.0.1:2380'],
    ['initial-cluster-state', {}, [], 'new'],
    ['initial-cluster-token', {}, [], 'cloudless-abc'],
    [
      'initial-cluster',
      { joining: others },
      [],
      'm2=https://10.0.0.2:2380,m1=https://10.0.0.1:2380',
    ],
    [
      'initial-cluster',
      { joining: [{ name: '', peerAddress: '10.0.0.2:2380' }] },
      [],
      'unnamed-0=https://10.0.0.2:2380,m1=https://10.0.0.1:2380',
    ],
    ['initial-cluster-state', { joining: others }, [], 'existing'],
    ['listen-peer-urls', {}, [], 'https://10.0.0.1:2380'],
    ['listen-peer-urls', { peerAddress: 'vps.example:2380' }, [], 'https://0.0.0.0:2380'],
    ['listen-peer-urls', { peerAddress: '[fd00::1]:2380' }, [], 'https://[fd00::1]:2380'],
    ['listen-peer-urls', { peerListenAddress: '[::]:99' }, [], 'https://[::]:99'],
    ['force-new-cluster', {}, [], ''],
    ['force-new-cluster', { isRecovering: true }, [], 'true'],
    ['max-txn-ops', {}, [], '4096'],
    ['max-request-bytes', {}, [], String(16 * 1024 * 1024)],
    ['enable-v2', {}, [], ''],
    ['tls-min-version', {}, ['tls-min-version'], 'TLS1.3'],
    ['enable-v2', {}, ['enable-v2'], 'false'],
    [experimental, {}, [experimental, 'feature-gates'], 'true'],
    ['feature-gates', {}, ['feature-gates'], 'InitialCorruptCheck=true'],
    [`experimental-${skip}`, {}, [`experimental-${skip}`], 'true'],
    [skip, {}, [skip, `experimental-${skip}`], 'true'],
  ] as const) {
    it(`have --${flag}=${expected} for ${JSON.stringify({ ...difference, known })}`, () => {
      assert.equal(flagOf(flag, difference, [...known]), expected)
    })
  }

  it('never have a port without TLS, nor writes that are not synced', () => {
    const text = flagsFor(launch, new Set()).join('\n')
    assert.doesNotMatch(text, /http:|metrics-urls|unsafe/)
    for (const side of ['client', 'peer-client'])
      assert.ok(text.includes(`--${side}-cert-auth=true`))
    assert.match(text, /--client-cert-allowed-hostname=etcd\.cloudless/)
    assert.match(text, /--peer-cert-allowed-hostname=etcd\.cloudless/)
  })
})
