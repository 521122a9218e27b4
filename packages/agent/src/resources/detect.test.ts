import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromBinary, toBinary } from '@bufbuild/protobuf'
import { NodeCapabilitiesSchema } from '@cloudless/api'
import type { HostPolicy } from '@cloudless/base'
import { detectCapabilities } from './detect.ts'

test('the policy that the runtime goes by is told as it is, to the last word', async () => {
  const policy: HostPolicy = {
    allowPrivileged: true,
    allowHostNamespaces: true,
    hostPathPrefixes: ['/srv', '/data'],
    runtimeClasses: ['runc', 'gvisor'],
    volumeSources: ['emptyDir'],
    seccompProfiles: ['own'],
    securityModules: ['apparmor'],
  }
  const detected = await detectCapabilities({
    runtimeVersion: 'containerd 1.6.20',
    gpuCount: 0,
    meteredLink: false,
    policy,
  })
  const bytes = toBinary(NodeCapabilitiesSchema, detected)
  const told = fromBinary(NodeCapabilitiesSchema, bytes).policy!
  assert.deepEqual({ ...told }, { $typeName: told.$typeName, ...policy })
})
