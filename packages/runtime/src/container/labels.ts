/** What we write on a container in containerd: enough to know it again after a restart of the agent. */
import type { ContainerRequest } from '../runtime.ts'

export const labelNames = {
  replicaId: 'cloudless.replica.id',
  workloadId: 'cloudless.workload.id',
  workloadName: 'cloudless.workload.name',
  namespace: 'cloudless.workload.namespace',
  fragmentId: 'cloudless.fragment.id',
  logPath: 'cloudless.log_path',
  volumeDirectory: 'cloudless.volume_directory',
  stopSignal: 'cloudless.stop_signal',
  cgroupPath: 'cloudless.cgroup_path',
  image: 'cloudless.image',
  startedAtMs: 'cloudless.started_at_ms',
} as const

export type ContainerLabels = Readonly<Record<keyof typeof labelNames, string>>

export function labelsFor(
  request: ContainerRequest,
  rest: Pick<ContainerLabels, 'stopSignal' | 'cgroupPath' | 'startedAtMs'>,
): Record<string, string> {
  const { replicaId, workloadId, workloadName, namespace, fragmentId } = request
  const { logPath, volumeDirectory, spec } = request
  return encode({
    replicaId,
    workloadId,
    workloadName,
    namespace,
    fragmentId,
    logPath,
    volumeDirectory,
    image: spec.image,
    ...rest,
  })
}

/** Undefined when the container is not one of ours. */
export function parseLabels(labels: Readonly<Record<string, string>>): ContainerLabels | undefined {
  if (labels[labelNames.replicaId] === undefined) return undefined
  const parsed: Partial<Record<keyof typeof labelNames, string>> = {}
  for (const [key, name] of Object.entries(labelNames)) {
    parsed[key as keyof typeof labelNames] = labels[name] ?? ''
  }
  return parsed as ContainerLabels
}

function encode(labels: ContainerLabels): Record<string, string> {
  const encoded: Record<string, string> = {}
  for (const [key, value] of Object.entries(labels)) {
    encoded[labelNames[key as keyof typeof labelNames]] = value
  }
  return encoded
}
