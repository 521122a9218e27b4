import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import type { HostDemands } from '@cloudless/base'
import { SecurityProfileType, WorkloadSpecSchema } from '../gen/cloudless/v1/workload_pb.ts'
import { hostDemandsOf } from './host-demands.ts'

type Spec = MessageInitShape<typeof WorkloadSpecSchema>
type Security = NonNullable<Spec['securityContext']>

const { LOCALHOST, RUNTIME_DEFAULT, UNCONFINED } = SecurityProfileType
const localProfile = { type: LOCALHOST, localhostProfile: 'own' }
const volume = (source: string, path?: string) => ({
  name: 'v',
  source,
  mountPath: '/v',
  ...(path === undefined ? {} : { options: { path } }),
})

describe('of its host, a workload asks', () => {
  const rows: readonly [property: string, spec: Spec, asked: Partial<HostDemands> | undefined][] = [
    ['nothing when it says nothing', {}, undefined],
    ['nothing by a security context that says nothing', { securityContext: {} }, undefined],
    ['to be privileged', { securityContext: { privileged: true } }, { privileged: true }],
    [
      'for its network, processes and IPC',
      { securityContext: { hostNetwork: true, hostPid: true, hostIpc: true } },
      { hostNamespaces: ["the host's network", "the host's processes", "the host's IPC"] },
    ],
    [
      'for each host path, and each source of volumes once',
      {
        volumes: [
          volume('hostPath', '/srv'),
          volume('hostPath', '/etc/'),
          volume('emptyDir', '/no'),
        ],
      },
      { hostPaths: ['/srv', '/etc/'], volumeSources: ['hostPath', 'emptyDir'] },
    ],
    [
      'for a host path that is missing, which no node has',
      { volumes: [volume('hostPath')] },
      { hostPaths: [''], volumeSources: ['hostPath'] },
    ],
    ['for a runtime class', security({ runtimeClassName: 'kata' }), { runtimeClass: 'kata' }],
    [
      "for a seccomp profile of the node's",
      security({ linux: { seccompProfile: localProfile } }),
      { seccompProfile: 'own' },
    ],
    [
      'for one without a name, which no node has',
      security({ linux: { seccompProfile: { type: LOCALHOST } } }),
      { seccompProfile: 'LOCALHOST' },
    ],
    [
      'for no seccomp profile when it is privileged',
      security({ privileged: true, linux: { seccompProfile: localProfile } }),
      { privileged: true },
    ],
    [
      'nothing by profiles that every node has',
      security({
        linux: { seccompProfile: { type: UNCONFINED }, apparmorProfile: { type: RUNTIME_DEFAULT } },
      }),
      undefined,
    ],
    [
      'for AppArmor and SELinux, also when it is privileged',
      security({ privileged: true, linux: { apparmorProfile: localProfile, selinuxOptions: {} } }),
      { privileged: true, securityModules: ['apparmor', 'selinux'] },
    ],
    [
      'nothing by what is inside its container',
      security({
        runAsUser: 0n,
        capabilitiesAdd: ['SYS_ADMIN'],
        linux: { sysctls: { 'net.core.somaxconn': '1' } },
      }),
      undefined,
    ],
  ]
  for (const [property, spec, asked] of rows) {
    it(property, () => {
      const demands = hostDemandsOf(create(WorkloadSpecSchema, spec))
      assert.deepEqual(demands, asked && { ...nothing, ...asked })
    })
  }
})

const nothing: HostDemands = {
  privileged: false,
  hostNamespaces: [],
  hostPaths: [],
  runtimeClass: '',
  volumeSources: [],
  seccompProfile: '',
  securityModules: [],
}

function security(securityContext: Security): Spec {
  return { securityContext }
}
