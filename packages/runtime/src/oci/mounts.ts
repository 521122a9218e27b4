/** What is mounted into a container: the kernel's file systems, our three files in /etc, the workload's volumes. */
import { CloudlessError, plainPath } from '@cloudless/base'
import type { Volume, WorkloadSpec } from '@cloudless/api'
import { isAbsolute, join, normalize } from 'node:path'

export interface OciMount {
  readonly destination: string
  readonly type: string
  readonly source: string
  readonly options: readonly string[]
}

/** A volume with its place on the host decided. */
export type PlannedVolume =
  | { readonly kind: 'directory'; readonly volume: Volume; readonly path: string }
  | { readonly kind: 'memory'; readonly volume: Volume; readonly bytesMax: number }
  | {
      readonly kind: 'files'
      readonly volume: Volume
      readonly path: string
      readonly files: Readonly<Record<string, string>>
    }
  | {
      readonly kind: 'host'
      readonly volume: Volume
      readonly path: string
      readonly type: 'Directory' | 'DirectoryOrCreate' | 'File'
    }

export interface GeneratedFiles {
  readonly hosts: string
  readonly resolvConf: string
  readonly hostname: string
}

const shmBytesMax = 64 * 1024 * 1024
const fileNameShape = /^[A-Za-z0-9._-]{1,253}$/

/** Those that can be mounted. */
export const volumeSources: readonly string[] = ['emptyDir', 'hostPath', 'configMap']

/** Of what the node's policy lets pass. Throws invalid_argument for a volume that cannot be. */
export function planVolumes(
  spec: WorkloadSpec,
  options: { readonly volumeDirectory: string },
): readonly PlannedVolume[] {
  return spec.volumes.map((volume) => {
    checkMountPath(volume)
    const path = join(options.volumeDirectory, volume.name)
    switch (volume.source) {
      case 'emptyDir':
        return planEmptyDir(volume, path)
      case 'configMap':
        return { kind: 'files', volume, path, files: checkedFiles(volume) }
      case 'hostPath':
        return planHostPath(volume)
      default:
        throw new CloudlessError(
          'failed_precondition',
          `Volume "${volume.name}" has the source "${volume.source}", which this node's runtime ` +
            `does not mount. Use ${volumeSources.join(', ')}.`,
        )
    }
  })
}

export function volumeMountsOf(volumes: readonly PlannedVolume[]): readonly OciMount[] {
  return volumes.map((planned) => {
    const destination = normalize(planned.volume.mountPath)
    const access = planned.volume.readOnly || planned.kind === 'files' ? 'ro' : 'rw'
    if (planned.kind === 'memory') {
      const size = planned.bytesMax > 0 ? [`size=${planned.bytesMax}`] : []
      return {
        destination,
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'nodev', 'mode=1777', access, ...size],
      }
    }
    return {
      destination,
      type: 'bind',
      source: planned.path,
      options: ['rbind', 'rprivate', 'nosuid', 'nodev', access],
    }
  })
}

/** In the order they must be mounted. */
export function systemMountsOf(container: {
  readonly privileged: boolean
  readonly hostNetwork: boolean
  readonly hostPid: boolean
  readonly hostIpc: boolean
}): readonly OciMount[] {
  const plain = ['nosuid', 'noexec', 'nodev']
  const sysAccess = container.privileged ? 'rw' : 'ro'
  const mounts: OciMount[] = [
    { destination: '/proc', type: 'proc', source: 'proc', options: plain },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    {
      destination: '/sys',
      type: 'sysfs',
      source: 'sysfs',
      options: [...plain, sysAccess],
    },
    {
      destination: '/sys/fs/cgroup',
      type: 'cgroup',
      source: 'cgroup',
      options: [...plain, 'relatime', sysAccess],
    },
  ]
  const shm: OciMount = container.hostIpc
    ? { destination: '/dev/shm', type: 'bind', source: '/dev/shm', options: ['rbind', 'rprivate'] }
    : {
        destination: '/dev/shm',
        type: 'tmpfs',
        source: 'shm',
        options: [...plain, 'mode=1777', `size=${shmBytesMax}`],
      }
  const queue: OciMount = container.hostIpc
    ? {
        destination: '/dev/mqueue',
        type: 'bind',
        source: '/dev/mqueue',
        options: ['rbind', 'rprivate'],
      }
    : { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: plain }
  return [...mounts, queue, shm]
}

export function generatedMountsOf(files: GeneratedFiles): readonly OciMount[] {
  const bind = (destination: string, source: string): OciMount => ({
    destination,
    type: 'bind',
    source,
    options: ['rbind', 'rprivate', 'rw'],
  })
  return [
    bind('/etc/hosts', files.hosts),
    bind('/etc/resolv.conf', files.resolvConf),
    bind('/etc/hostname', files.hostname),
  ]
}

function planEmptyDir(volume: Volume, path: string): PlannedVolume {
  if (volume.options['medium'] !== 'memory') return { kind: 'directory', volume, path }
  const bytesMax = Number(volume.options['size_bytes'] ?? 0)
  if (!Number.isSafeInteger(bytesMax) || bytesMax < 0) {
    throw volumeProblem(volume, 'options.size_bytes must be a number of bytes')
  }
  return { kind: 'memory', volume, bytesMax }
}

function planHostPath(volume: Volume): PlannedVolume {
  const path = volume.options['path'] ?? ''
  if (!isAbsolute(path)) throw volumeProblem(volume, 'options.path must be an absolute path')
  const type = volume.options['type'] ?? 'Directory'
  if (type !== 'Directory' && type !== 'DirectoryOrCreate' && type !== 'File') {
    throw volumeProblem(volume, 'options.type must be Directory, DirectoryOrCreate or File')
  }
  return { kind: 'host', volume, path: plainPath(path), type }
}

function checkedFiles(volume: Volume): Readonly<Record<string, string>> {
  for (const name of Object.keys(volume.options)) {
    if (!fileNameShape.test(name) || name === '.' || name === '..') {
      throw volumeProblem(volume, `"${name}" is not a file name`)
    }
  }
  return volume.options
}

function checkMountPath(volume: Volume): void {
  if (!isAbsolute(volume.mountPath) || normalize(volume.mountPath) === '/') {
    throw volumeProblem(volume, 'mount_path must be an absolute path below "/"')
  }
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(volume.name)) {
    throw volumeProblem(volume, 'its name must be a DNS label')
  }
}

function volumeProblem(volume: Volume, what: string): CloudlessError {
  return new CloudlessError('invalid_argument', `Volume "${volume.name}": ${what}.`)
}
