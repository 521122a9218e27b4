import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  hostRefusal,
  isUnderAny,
  plainPath,
  type HostDemands,
  type HostPolicy,
} from './host-policy.ts'

const nothingAllowed: HostPolicy = {
  allowPrivileged: false,
  allowHostNamespaces: false,
  hostPathPrefixes: [],
  runtimeClasses: [],
  volumeSources: [],
  seccompProfiles: [],
  securityModules: [],
}
const nothingAsked: HostDemands = {
  privileged: false,
  hostNamespaces: [],
  hostPaths: [],
  runtimeClass: '',
  volumeSources: [],
  seccompProfile: '',
  securityModules: [],
}

describe('a policy', () => {
  type Row = readonly [
    asked: Partial<HostDemands>,
    reason: string,
    /** The least that allows it. */
    policy: Partial<HostPolicy>,
  ]
  const rows: readonly Row[] = [
    [{ privileged: true }, 'privileged containers not allowed', { allowPrivileged: true }],
    [
      { hostNamespaces: ["the host's IPC"] },
      "sharing the host's IPC not allowed",
      { allowHostNamespaces: true },
    ],
    [
      { hostPaths: ['/srv/a', '/data/../srv/b/'] },
      'host path /srv/a not allowed',
      { hostPathPrefixes: ['/srv'] },
    ],
    [{ runtimeClass: 'gvisor' }, 'no runtime class gvisor', { runtimeClasses: ['runc', 'gvisor'] }],
    [
      { volumeSources: ['emptyDir', 'secret'] },
      'mounts no emptyDir volumes',
      { volumeSources: ['secret', 'emptyDir'] },
    ],
    [{ seccompProfile: 'own' }, 'no seccomp profile own', { seccompProfiles: ['own'] }],
    [{ securityModules: ['apparmor'] }, 'no AppArmor', { securityModules: ['apparmor'] }],
    [{ securityModules: ['selinux'] }, 'no SELinux', { securityModules: ['selinux'] }],
    [{ securityModules: ['smack'] }, 'no smack', { securityModules: ['smack'] }],
  ]
  for (const [asked, reason, least] of rows) {
    const demands = { ...nothingAsked, ...asked }

    it(`refuses with "${reason}", until it allows just that`, () => {
      assert.deepEqual(hostRefusal(demands, nothingAllowed), {
        demand: Object.keys(asked)[0],
        reason,
      })
      assert.equal(hostRefusal(demands, { ...nothingAllowed, ...least }), undefined)
    })
  }

  it('names the first path and the first source that it does not allow', () => {
    const allowed = { ...nothingAllowed, hostPathPrefixes: ['/srv'], volumeSources: ['hostPath'] }
    const refusal = (asked: Partial<HostDemands>): string | undefined =>
      hostRefusal({ ...nothingAsked, ...asked }, allowed)?.reason
    assert.equal(refusal({ hostPaths: ['/srv/x', '/etc/./'] }), 'host path /etc not allowed')
    assert.equal(refusal({ volumeSources: ['hostPath', 'secret'] }), 'mounts no secret volumes')
  })

  it('of any kind refuses nothing of what asks for nothing', () => {
    assert.equal(hostRefusal(nothingAsked, nothingAllowed), undefined)
  })
})

describe('a path is under a directory', () => {
  const rows: readonly [string, string, boolean][] = [
    ['/srv', '/srv', true],
    ['/srv/', '/srv', true],
    ['/srv', '/srv/', true],
    ['/srv/a/b', '/srv', true],
    ['//srv//a', '/srv', true],
    ['/a/../srv/b', '/srv/./', true],
    ['/etc', '/', true],
    ['/', '/', true],
    ['/', '/srv', false],
    ['/srvx', '/srv', false],
    ['/srv/../etc', '/srv', false],
    ['/srv/../../etc/', '/srv', false],
    ['srv/a', '/srv', false],
    ['srv', '/', false],
    ['', '/', false],
    ['/srv', '', false],
    ['/srv', 'srv', false],
  ]
  for (const [path, directory, expected] of rows) {
    it(`"${path}" ${expected ? 'is' : 'is not'} under "${directory}"`, () => {
      assert.equal(isUnderAny(path, ['/elsewhere', directory]), expected)
    })
  }

  it('never when its plain form starts elsewhere', () => {
    const part = fc.constantFrom('srv', 'data', '..', '.', '', 'srvx')
    const path = fc.array(part, { maxLength: 6 }).map((parts) => `/${parts.join('/')}`)
    fc.assert(
      fc.property(path, (text) => {
        const plain = plainPath(text)
        assert.ok(!/(^|\/)\.\.?(\/|$)|\/\/|.\/$/.test(plain), plain)
        assert.equal(isUnderAny(text, ['/srv']), plain.split('/')[1] === 'srv')
      }),
    )
  })
})
