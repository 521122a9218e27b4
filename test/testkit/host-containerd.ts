/** A containerd of a host's own: images and layers on its disk, sockets and running state on its tmpfs. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** As seen inside the host. */
export const containerdSocket = '/run/containerd/containerd.sock'

/** What a node does not need; each costs start-up time, memory or a warning in the log. */
const disabledPlugins = [
  'io.containerd.grpc.v1.cri',
  'io.containerd.snapshotter.v1.aufs',
  'io.containerd.snapshotter.v1.btrfs',
  'io.containerd.snapshotter.v1.devmapper',
  'io.containerd.snapshotter.v1.zfs',
  'io.containerd.snapshotter.v1.native',
  'io.containerd.internal.v1.opt',
  'io.containerd.internal.v1.tracing',
  'io.containerd.tracing.processor.v1.otlp',
]

/** Writes the configuration below the host's directory; the command that starts containerd with it. */
export function prepareContainerd(hostDirectory: string): string[] {
  const root = join(hostDirectory, 'containerd')
  mkdirSync(root, { recursive: true, mode: 0o700 })
  const path = join(hostDirectory, 'containerd.toml')
  writeFileSync(
    path,
    `version = 2
root = ${JSON.stringify(root)}
state = "/run/containerd"
disabled_plugins = ${JSON.stringify(disabledPlugins)}

[grpc]
  address = ${JSON.stringify(containerdSocket)}
`,
  )
  return ['containerd', '--config', path, '--log-level', 'warn']
}
