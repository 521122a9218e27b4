import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { SecurityProfileType, WorkloadSpecSchema } from '@cloudless/api'
import type { ContainerRequest } from '../runtime.ts'
import { capabilitiesOf, defaultCapabilities } from './capabilities.ts'
import { planVolumes, volumeMountsOf, volumeSources } from './mounts.ts'
import { argumentsOf, buildOciSpec, type OciSpec, type OciSpecInput } from './oci-spec.ts'
import { ociResourcesOf } from './resources.ts'

type Spec = MessageInitShape<typeof WorkloadSpecSchema>

const image = {
  env: ['PATH=/opt/bin', 'A=1'],
  entrypoint: ['/entry'],
  command: ['cmd'],
  workingDir: '/work',
  user: '',
  stopSignal: '',
  diffIds: [],
}
const options = {
  cgroupParent: '/cloudless',
  pidsLimitDefault: 4096,
  openFilesMax: 20_000,
}
const requestOf = (spec: Spec): ContainerRequest => ({
  containerId: 'web-1',
  replicaId: 'web-1',
  workloadId: 'w',
  workloadName: 'web',
  namespace: 'default',
  fragmentId: 'f',
  hostname: 'web-1',
  volumeDirectory: '/volumes/web-1',
  logPath: '/logs/web-1',
  spec: create(WorkloadSpecSchema, { image: 'app:1', ...spec }),
})
const build = (spec: Spec, rest: Partial<OciSpecInput['options']> = {}): OciSpec =>
  buildOciSpec({
    request: requestOf(spec),
    image,
    user: { uid: 0, gid: 0, additionalGids: [], home: '/root' },
    volumes: [],
    files: { hosts: '/f/hosts', resolvConf: '/f/resolv.conf', hostname: '/f/hostname' },
    options: { ...options, ...rest },
  })

test('runs ENTRYPOINT and CMD, or what the workload puts in their place', () => {
  const cases = [
    [[], [], ['/entry', 'cmd']],
    [[], ['x'], ['/entry', 'x']],
    [['/own'], [], ['/own']],
    [['/own'], ['x', 'y'], ['/own', 'x', 'y']],
  ] as const
  for (const [command, args, expected] of cases) {
    const request = requestOf({ command: [...command], args: [...args] })
    assert.deepEqual(argumentsOf(request, image), expected)
  }
  const empty = { ...image, entrypoint: [], command: [] }
  assert.throws(() => argumentsOf(requestOf({}), empty), { code: 'failed_precondition' })
})

test('puts the workload before the image before the defaults', () => {
  const { process } = build({ env: { A: '2', B: '3' }, workingDir: '/own' })
  assert.deepEqual(process.env, ['PATH=/opt/bin', 'HOME=/root', 'A=2', 'HOSTNAME=web-1', 'B=3'])
  assert.equal(process.cwd, '/own')
  assert.equal(build({}).process.cwd, '/work')
})

test('confines a container by default', () => {
  const spec = build({})
  assert.equal(spec.process.noNewPrivileges, true)
  assert.deepEqual(spec.linux.namespaces.map(({ type }) => type).toSorted(), [
    'cgroup',
    'ipc',
    'mount',
    'network',
    'pid',
    'uts',
  ])
  assert.equal(spec.linux.cgroupsPath, '/cloudless/web-1')
  assert.ok(spec.linux.maskedPaths.includes('/proc/kcore'))
  assert.ok(spec.linux.readonlyPaths.includes('/proc/sys'))
  assert.ok(spec.linux.seccomp?.syscalls[0]?.names.includes('bpf'))
  const mount = (path: string): string =>
    spec.mounts.find(({ destination }) => destination === path)!.options.join()
  assert.match(mount('/sys'), /\bro\b/)
  assert.match(mount('/sys/fs/cgroup'), /\bro\b/)
  assert.deepEqual(spec.linux.resources.devices, [{ allow: false, access: 'rwm' }])
  assert.equal(build({ securityContext: { readOnlyRootFilesystem: true } }).root.readonly, true)
  const unconfined = { linux: { seccompProfile: { type: SecurityProfileType.UNCONFINED } } }
  assert.equal(build({ securityContext: unconfined }).linux.seccomp, undefined)
})

test('asks for the AppArmor profile and the SELinux label that the workload names', () => {
  const labelsOf = (linux: NonNullable<NonNullable<Spec['securityContext']>['linux']>) => {
    const { apparmorProfile, selinuxLabel } = build({ securityContext: { linux } }).process
    return [apparmorProfile, selinuxLabel]
  }
  const { LOCALHOST, RUNTIME_DEFAULT } = SecurityProfileType
  assert.deepEqual(labelsOf({}), [undefined, undefined])
  assert.deepEqual(labelsOf({ apparmorProfile: { type: LOCALHOST, localhostProfile: 'my-app' } }), [
    'my-app',
    undefined,
  ])
  assert.deepEqual(labelsOf({ apparmorProfile: { type: RUNTIME_DEFAULT } }), [undefined, undefined])
  assert.deepEqual(labelsOf({ selinuxOptions: { type: 'web_t', level: 's0:c1,c2' } }), [
    undefined,
    'system_u:system_r:web_t:s0:c1,c2',
  ])
})

test('leaves out of the profile and the namespaces what is privileged or shared', () => {
  const privileged = build({ securityContext: { privileged: true } })
  assert.equal(privileged.linux.seccomp, undefined)
  assert.equal(privileged.process.noNewPrivileges, false)
  const shared = build({ securityContext: { hostNetwork: true } })
  assert.ok(!shared.linux.namespaces.some(({ type }) => type === 'network'))
  assert.equal(shared.hostname, undefined)
})

test('gives the kernel the limits in its own units', () => {
  const mebibyte = 1024 * 1024
  const limitsOf = (resources: Spec['resources']) =>
    ociResourcesOf(create(WorkloadSpecSchema, resources ? { resources } : {}).resources, {
      pidsLimitDefault: 4096,
      privileged: false,
    })
  assert.deepEqual(limitsOf(undefined), {
    devices: [{ allow: false, access: 'rwm' }],
    cpu: { shares: 2 },
    memory: {},
    pids: { limit: 4096 },
  })
  const both = limitsOf({
    limits: { cpuMillicores: 1500, memoryBytes: BigInt(64 * mebibyte) },
    requests: { cpuMillicores: 500 },
    pidsLimit: 10,
  })
  assert.deepEqual(both.cpu, { shares: 512, quota: 150_000, period: 100_000 })
  assert.deepEqual(both.memory, { limit: 64 * mebibyte, swap: 64 * mebibyte })
  assert.deepEqual(both.pids, { limit: 10 })
  assert.deepEqual(limitsOf({ limits: { cpuMillicores: 1000 } }).cpu.shares, 1024)
  assert.deepEqual(limitsOf({ limits: { cpuMillicores: 1 } }).cpu.quota, 1000)
  assert.deepEqual(limitsOf({ limits: { memoryBytes: 1n } }).memory.limit, 6 * mebibyte)
})

test('drops capabilities before it adds them', () => {
  const of = (add: string[], drop: string[]): readonly string[] =>
    capabilitiesOf({ privileged: false, add, drop })
  assert.equal(of([], []).length, defaultCapabilities.length)
  assert.deepEqual(of(['NET_BIND_SERVICE'], ['ALL']), ['CAP_NET_BIND_SERVICE'])
  assert.ok(of(['cap_net_admin'], []).includes('CAP_NET_ADMIN'))
  assert.ok(!of([], ['CHOWN']).includes('CAP_CHOWN'))
  assert.throws(() => of(['NONSENSE'], []), { code: 'invalid_argument' })
})

test('plans volumes, and refuses those that cannot be', () => {
  const plan = (volume: object) => {
    const volumes = [{ name: 'v', source: 'emptyDir', mountPath: '/v', ...volume }]
    const { spec } = requestOf({ volumes })
    return planVolumes(spec, { volumeDirectory: '/volumes/x' })
  }
  assert.deepEqual(volumeMountsOf(plan({ readOnly: true }))[0], {
    destination: '/v',
    type: 'bind',
    source: '/volumes/x/v',
    options: ['rbind', 'rprivate', 'nosuid', 'nodev', 'ro'],
  })
  const [host] = plan({ source: 'hostPath', options: { path: '/srv/x/../data/' } })
  assert.equal(host?.kind === 'host' && host.path, '/srv/data', 'the path that the policy has seen')
  const invalid = [
    { mountPath: 'relative' },
    { mountPath: '/a/..' },
    { name: '../x' },
    { source: 'configMap', options: { '../x': 'y' } },
    { source: 'configMap', options: { '..': 'y' } },
    { source: 'hostPath', options: { path: 'srv' } },
    { options: { medium: 'memory', size_bytes: '-1' } },
  ]
  for (const volume of invalid) {
    assert.throws(() => plan(volume), { code: 'invalid_argument' }, JSON.stringify(volume))
  }
  for (const source of volumeSources) {
    assert.equal(plan({ source, options: { path: '/srv' } }).length, 1, source)
  }
  for (const source of ['nfs', 'secret']) {
    assert.throws(() => plan({ source }), { code: 'failed_precondition' }, source)
  }
})
