import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkMemberOptions, namesOf, type EtcdMemberOptions } from './member-options.ts'

const options: EtcdMemberOptions = {
  dataDirectory: '/data',
  clusterId: 'abc',
  name: 'm1',
  peerAddress: '10.0.0.1:2380',
  clientAddress: '127.0.0.1:2379',
  initial: { kind: 'new' },
  credentials: () => Promise.reject(new Error('not asked')),
  planRenewal: () => ({ kind: 'renew' }),
}
const joining = (name: string, peerAddress: string): Partial<EtcdMemberOptions> => ({
  initial: { kind: 'join', members: [{ name, peerAddress }] },
})

describe('the options of a member', () => {
  for (const [what, difference, problem] of [
    ['plain ones', {}, undefined],
    ['a name for an address', { peerAddress: 'vps.example:2380' }, undefined],
    ['IPv6', { peerAddress: '[fd00::1]:2380', clientAddress: '[::1]:2379' }, undefined],
    ['another that was never started', joining('', '10.0.0.2:2380'), undefined],
    ['a name that would be two', { name: 'a=b,c' }, /"a=b,c" cannot be the name/],
    ['no name', { name: '' }, /"" cannot be the name/],
    ['another with a bad name', joining('a,b', '10.0.0.2:2380'), /"a,b" cannot be the name/],
    ['another without a port', joining('b', '10.0.0.2'), /"10\.0\.0\.2" is no "host:port"/],
    ['no host', { peerAddress: ':2380' }, /":2380" is no "host:port"/],
    ['no port', { peerAddress: '10.0.0.1:0' }, /"10\.0\.0\.1:0" is no "host:port"/],
    ['listening at a name', { peerListenAddress: 'vps:1' }, /"vps:1" is no address to listen at/],
    ['clients from anywhere', { clientAddress: '0.0.0.0:2379' }, /no address of this machine only/],
    ['clients from the LAN', { clientAddress: '10.0.0.1:2379' }, /of this machine only/],
  ] as const) {
    it(`are ${problem === undefined ? 'fine' : 'refused'}: ${what}`, () => {
      const check = (): void => checkMemberOptions({ ...options, ...difference })
      if (problem === undefined) check()
      else assert.throws(check, { code: 'invalid_argument', message: problem })
    })
  }

  it('say what names its certificate has', () => {
    assert.deepEqual(namesOf(options), {
      dnsNames: ['etcd.cloudless', 'localhost'],
      ipAddresses: ['127.0.0.1', '10.0.0.1'],
    })
    assert.deepEqual(namesOf({ ...options, peerAddress: 'vps.example:2380' }), {
      dnsNames: ['etcd.cloudless', 'localhost', 'vps.example'],
      ipAddresses: ['127.0.0.1'],
    })
  })
})
