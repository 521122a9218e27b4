import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create, fromBinary, toBinary, type MessageInitShape } from '@bufbuild/protobuf'
import {
  hostDemandsOf,
  NodePolicySchema,
  SecurityProfileType,
  WorkloadSpecSchema,
  type WorkloadSpec,
} from '@cloudless/api'
import { CloudlessError, hostRefusal, type HostPolicy } from '@cloudless/base'
import fc from 'fast-check'
import { resolveOptions, type ContainerdRuntimeOptions } from '../options.ts'
import { checkHostPolicy, hostPolicyOf } from './host-policy.ts'

type Spec = MessageInitShape<typeof WorkloadSpecSchema>
type Allowed = Partial<ContainerdRuntimeOptions>

const { LOCALHOST } = SecurityProfileType
const localProfile = { type: LOCALHOST, localhostProfile: 'own' }

function policyOf(options: Allowed = {}): HostPolicy {
  return hostPolicyOf(
    resolveOptions({
      stateDirectory: '/state',
      runDirectory: '/run',
      securityModules: [],
      ...options,
    }),
  )
}

/** The code and message of the refusal; undefined when it may start. */
function refusalOf(spec: WorkloadSpec, policy: HostPolicy): CloudlessError | undefined {
  try {
    checkHostPolicy(spec, policy)
    return undefined
  } catch (reason) {
    return CloudlessError.from(reason)
  }
}

describe('a node whose owner has allowed nothing refuses', () => {
  type Row = readonly [what: string, spec: Spec, code: string, message: RegExp, until: Allowed]
  const rows: readonly Row[] = [
    [
      'to be privileged',
      { securityContext: { privileged: true } },
      'permission_denied',
      /privileged containers not allowed\. Set features\.allow_privileged /,
      { allowPrivileged: true },
    ],
    ...(['hostNetwork', 'hostPid', 'hostIpc'] as const).map((share): Row => [
      `to share by ${share}`,
      { securityContext: { [share]: true } },
      'permission_denied',
      /sharing the host's .* not allowed\. Set features\.allow_host_network /,
      { allowHostNamespaces: true },
    ]),
    [
      'a path of the host',
      {
        volumes: [{ name: 'v', source: 'hostPath', mountPath: '/v', options: { path: '/a/b' } }],
      },
      'permission_denied',
      /host path \/a\/b not allowed\. Add it to features\.host_path_prefixes /,
      { hostPathPrefixes: ['/a/'] },
    ],
    [
      'another runtime class, naming those it has',
      { securityContext: { runtimeClassName: 'gvisor' } },
      'failed_precondition',
      /no runtime class gvisor \(there is runc\)/,
      { runtimeClasses: { gvisor: 'io.containerd.runsc.v1' } },
    ],
    [
      "a runtime class that is a word of the language's own",
      { securityContext: { runtimeClassName: 'constructor' } },
      'failed_precondition',
      /no runtime class constructor/,
      { runtimeClasses: { constructor: 'io.containerd.runsc.v1' } },
    ],
    [
      'an AppArmor profile, without AppArmor',
      { securityContext: { linux: { apparmorProfile: localProfile } } },
      'failed_precondition',
      /no AppArmor\. /,
      { securityModules: ['apparmor'] },
    ],
    [
      'an SELinux label, without SELinux',
      { securityContext: { linux: { selinuxOptions: { type: 'web_t' } } } },
      'failed_precondition',
      /no SELinux\. /,
      { securityModules: ['selinux'] },
    ],
  ]
  for (const [what, spec, code, message, until] of rows) {
    test(what, () => {
      const whole = create(WorkloadSpecSchema, spec)
      const refusal = refusalOf(whole, policyOf())
      assert.equal(refusal?.code, code)
      assert.match(refusal.message, message)
      assert.equal(refusalOf(whole, policyOf(until)), undefined, 'until it is allowed')
    })
  }

  test('names the paths that are allowed beside the one that is not', () => {
    const volumes = [{ name: 'v', source: 'hostPath', mountPath: '/v', options: { path: '/etc' } }]
    const policy = policyOf({ hostPathPrefixes: ['/srv', '/data'] })
    const refusal = refusalOf(create(WorkloadSpecSchema, { volumes }), policy)
    assert.match(refusal!.message, /host path \/etc not allowed \(there is \/srv, \/data\)/)
  })
})

test('no node has seccomp profiles of its own, or mounts secrets, whatever is allowed', () => {
  const all = policyOf({ allowPrivileged: true, hostPathPrefixes: ['/'] })
  const seccomp = { securityContext: { linux: { seccompProfile: localProfile } } }
  assert.match(refusalOf(create(WorkloadSpecSchema, seccomp), all)!.message, /RUNTIME_DEFAULT/)
  const secret = { volumes: [{ name: 'v', source: 'secret', mountPath: '/v' }] }
  assert.match(
    refusalOf(create(WorkloadSpecSchema, secret), all)!.message,
    /mounts no secret volumes\. Use emptyDir, hostPath, configMap\./,
  )
})

const anyOptions: fc.Arbitrary<Allowed> = fc.record({
  allowPrivileged: fc.boolean(),
  allowHostNamespaces: fc.boolean(),
  hostPathPrefixes: fc.subarray(['/srv', '/data/', '/']),
  runtimeClasses: fc.constantFrom<Record<string, string>>({}, { kata: 'io.containerd.kata.v2' }),
  securityModules: fc.subarray(['apparmor', 'selinux'] as const),
})

/** Mostly nothing, so that what is asked for is often the only thing. */
function seldom<Value>(value: Value): fc.Arbitrary<Value | undefined> {
  return fc.constantFrom<(Value | undefined)[]>(undefined, undefined, undefined, value)
}

const flag = fc.constantFrom(false, false, false, false, true)

const anySpec: fc.Arbitrary<Spec> = fc.record({
  securityContext: fc.record({
    privileged: flag,
    hostNetwork: flag,
    hostPid: flag,
    runtimeClassName: fc.constantFrom('', '', '', 'runc', 'kata', 'gvisor'),
    linux: fc.record({
      seccompProfile: seldom(localProfile),
      apparmorProfile: seldom(localProfile),
      selinuxOptions: seldom({}),
    }),
  }),
  volumes: fc.array(
    fc.record({
      name: fc.constant('v'),
      source: fc.constantFrom('hostPath', 'hostPath', 'hostPath', 'emptyDir', 'secret'),
      mountPath: fc.constant('/v'),
      options: fc
        .constantFrom('/srv', '/srv/x', '/srvx', '/data', '/srv/../etc', '/data/../srv/y/')
        .map((path) => ({ path })),
    }),
    { maxLength: 1 },
  ),
})

test('what a node refuses is what whoever reads its report expects it to refuse', () => {
  let refused = 0
  const check = (init: Spec, options: Allowed): void => {
    const spec = create(WorkloadSpecSchema, init)
    const policy = policyOf(options)
    const report = create(NodePolicySchema, policy as object)
    const read = fromBinary(NodePolicySchema, toBinary(NodePolicySchema, report))
    const demands = hostDemandsOf(spec)
    const expected = demands && hostRefusal(demands, read)?.reason
    const refusal = refusalOf(spec, policy)
    assert.equal(refusal === undefined, expected === undefined)
    assert.equal(refusal === undefined, isPlainlyAllowed(spec, options))
    if (refusal === undefined) return
    assert.ok(refusal.message.includes(expected!), refusal.message)
    refused++
  }
  fc.assert(fc.property(anySpec, anyOptions, check), { numRuns: 1_000 })
  assert.ok(refused > 400 && refused < 900, `${refused} of 1,000 are refused`)
})

/** The same rules again, by the options, said as plainly as can be. */
function isPlainlyAllowed({ securityContext: s, volumes }: WorkloadSpec, o: Allowed): boolean {
  const paths = volumes.filter((v) => v.source === 'hostPath').map((v) => v.options['path']!)
  const isAllowed = (path: string): boolean => {
    if (o.hostPathPrefixes!.includes('/')) return true
    const isOfSrv = ['/srv', '/srv/x', '/data/../srv/y/'].includes(path)
    return (
      (isOfSrv && o.hostPathPrefixes!.includes('/srv')) ||
      (path === '/data' && o.hostPathPrefixes!.includes('/data/'))
    )
  }
  return (
    (o.allowPrivileged! || !s!.privileged) &&
    (o.allowHostNamespaces! || !(s!.hostNetwork || s!.hostPid)) &&
    ['', 'runc', ...Object.keys(o.runtimeClasses!)].includes(s!.runtimeClassName) &&
    volumes.every((v) => v.source !== 'secret') &&
    paths.every(isAllowed) &&
    (s!.privileged || s!.linux?.seccompProfile === undefined) &&
    (o.securityModules!.includes('apparmor') || s!.linux?.apparmorProfile === undefined) &&
    (o.securityModules!.includes('selinux') || s!.linux?.selinuxOptions === undefined)
  )
}
