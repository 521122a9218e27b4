/** Workloads for tests: manifests to apply, and waiting until they are as wanted. */
import type { Cluster } from './cluster.ts'
import { simpleWebImage } from './simple-web.ts'
import { waitFor } from './wait-for.ts'

/** A replica as the CLI prints it; only what tests look at. */
export interface ReplicaView {
  readonly id: string
  readonly nodeName?: string
  readonly containerId?: string
  readonly state?: string
  readonly ready?: boolean
  readonly reason?: string
  readonly message?: string
  readonly address?: string
  readonly restartCount?: number
  readonly revision?: string
  readonly pendingReasons?: readonly { readonly reason: string; readonly nodeCount?: number }[]
}

export interface WorkloadWish {
  readonly name: string
  readonly replicas?: number
  readonly image?: string
  readonly command?: readonly string[]
  /** More keys of spec, in manifest form; they win. */
  readonly spec?: Readonly<Record<string, unknown>>
}

/** The sample web application with a fast readiness probe, unless the wish says otherwise; JSON, which is YAML. */
export function manifestOf(wish: WorkloadWish): string {
  const isWeb = wish.command === undefined && wish.image === undefined
  const probe = { http: { path: '/healthz', port: 8080 }, initial_delay: '0s', period: '1s' }
  return JSON.stringify({
    apiVersion: 'cloudless/v1',
    kind: 'Workload',
    metadata: { name: wish.name },
    spec: {
      image: wish.image ?? simpleWebImage,
      image_pull_policy: 'IfNotPresent',
      // The other types have no replicas of their own.
      ...(wish.spec?.['type'] === undefined ? { replicas: wish.replicas ?? 1 } : {}),
      termination_grace: '2s',
      resources: { requests: { cpu_millicores: 50, memory_bytes: '32Mi' } },
      placement: { spread_topology: 'node' },
      ...(wish.command === undefined ? {} : { command: wish.command }),
      ...(isWeb ? { readiness_probe: probe } : {}),
      ...wish.spec,
    },
  })
}

/** Whatever has a CLI. */
type Reached = Pick<Cluster, 'ctl'>

export async function applyWorkload(cluster: Reached, wish: WorkloadWish): Promise<void> {
  await cluster.ctl.text(['apply', '-f', '-'], { input: manifestOf(wish) })
}

export async function replicasOf(cluster: Reached, name: string): Promise<readonly ReplicaView[]> {
  return cluster.ctl.items<ReplicaView>(['workload', 'replicas', name])
}

/** Waits until the replicas are as wanted; resolves with them. */
export async function waitForReplicas(
  cluster: Reached,
  name: string,
  wanted: { readonly what: string; readonly deadlineMs?: number },
  isAsWanted: (replicas: readonly ReplicaView[]) => boolean,
): Promise<readonly ReplicaView[]> {
  return waitFor(
    async () => {
      const replicas = await replicasOf(cluster, name)
      return isAsWanted(replicas) ? replicas : undefined
    },
    {
      what: `${name}: ${wanted.what}`,
      deadlineMs: wanted.deadlineMs ?? 20_000,
      describe: async () => (await cluster.ctl.run(['workload', 'describe', name])).stdout,
    },
  )
}

/** Waits until there are exactly so many replicas and all are ready. */
export async function waitForReady(
  cluster: Reached,
  name: string,
  count: number,
  deadlineMs = 20_000,
): Promise<readonly ReplicaView[]> {
  return waitForReplicas(
    cluster,
    name,
    { what: `${count} replicas, all ready`, deadlineMs },
    (replicas) => replicas.length === count && replicas.every((replica) => replica.ready === true),
  )
}

/** Ids of the containers that really run on that node, asked of its containerd. */
export async function runningContainers(
  cluster: Pick<Cluster, 'agent'>,
  node: string,
): Promise<string[]> {
  const { host } = cluster.agent(node)
  if (!host.isUp()) return []
  const tasks = await host.run(['ctr', '--namespace', 'cloudless', 'tasks', 'list'])
  return tasks.stdout
    .split('\n')
    .filter((line) => line.includes('RUNNING'))
    .map((line) => line.split(/\s+/)[0]!)
    .toSorted()
}

/** What a replica of the sample serves on /healthz, asked from the hub; empty when it does not answer. */
export async function healthzOf(cluster: Cluster, replica: ReplicaView): Promise<string> {
  const url = `http://${replica.address ?? ''}:8080/healthz`
  return (await cluster.network.run(['curl', '-s', '--max-time', '3', url])).stdout.trim()
}
