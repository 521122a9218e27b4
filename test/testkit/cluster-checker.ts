/** Whether a cluster has come to rest as its users were told: apart from the scenarios, so that all can ask it. */
import type { Cluster } from './cluster.ts'
import { waitFor } from './wait-for.ts'
import { runningContainers, type ReplicaView } from './workloads.ts'

/**
 * What a workload may look like: its numbers of replicas, -1 for "there is none". More than one where a call ended
 * without an answer, so that nobody knows whether it was carried out.
 */
export type Expectations = ReadonlyMap<string, ReadonlySet<number>>

/**
 * Waits until nothing is wrong any more: every workload is there as acknowledged, with exactly its replicas, all ready;
 * on every node exactly the containers run that the coordinator counts there, none twice and none besides.
 */
export async function waitUntilSettled(
  cluster: Cluster,
  nodeNames: readonly string[],
  expectations: Expectations,
  deadlineMs = 60_000,
): Promise<void> {
  let problems: string[] = []
  await waitFor(
    async () => {
      problems = await findProblems(cluster, nodeNames, expectations)
      return problems.length === 0
    },
    {
      what: 'the cluster to settle',
      deadlineMs,
      pollMs: 250,
      describe: () => problems.join('\n'),
    },
  )
}

/** What is wrong at the moment, one line each. */
export async function findProblems(
  cluster: Cluster,
  nodeNames: readonly string[],
  expectations: Expectations,
): Promise<string[]> {
  const workloads = await cluster.ctl.items<WorkloadView>(['workload', 'list'])
  const replicas = await cluster.ctl.items<ReplicaView>(['workload', 'replicas'])
  const running = await Promise.all(
    nodeNames.map(async (node) =>
      (await runningContainers(cluster, node)).map((id) => `${id} on ${node}`),
    ),
  )
  const counted = replicas.map(({ id, nodeName }) => `${id} on ${nodeName ?? 'no node'}`)
  return [
    ...[...expectations].flatMap(([name, allowed]) => problemsOf(name, allowed, workloads)),
    ...workloads.flatMap(({ name, spec }) => problemsOfReplicas(name, spec?.replicas, replicas)),
    ...differences(running.flat(), counted),
  ]
}

interface WorkloadView {
  readonly name: string
  readonly spec?: { readonly replicas?: number }
}

function problemsOf(
  name: string,
  allowed: ReadonlySet<number>,
  workloads: readonly WorkloadView[],
): string[] {
  const workload = workloads.find((one) => one.name === name)
  const wanted = workload === undefined ? -1 : (workload.spec?.replicas ?? 0)
  if (allowed.has(wanted)) return []
  const said = (count: number): string => (count === -1 ? 'gone' : `${count} replicas`)
  return [`${name} is ${said(wanted)}, acknowledged was ${[...allowed].map(said).join(' or ')}`]
}

function problemsOfReplicas(
  name: string,
  wanted = 0,
  replicas: readonly (ReplicaView & { readonly workloadName?: string })[],
): string[] {
  const own = replicas.filter((replica) => replica.workloadName === name)
  const ready = own.filter((replica) => replica.ready === true)
  if (own.length === wanted && ready.length === wanted) return []
  const seen = own.map(({ id, state, reason }) => `${id} ${state} ${reason ?? ''}`)
  return [`${name}: ${wanted} wanted, ${own.length} there, ${ready.length} ready: ${seen}`]
}

/** One line for each that runs and is not counted, or is counted and does not run; one that runs twice is the former. */
function differences(running: readonly string[], counted: readonly string[]): string[] {
  const missing = [...counted]
  const surplus = running.filter((one) => {
    const at = missing.indexOf(one)
    if (at >= 0) missing.splice(at, 1)
    return at < 0
  })
  return [
    ...surplus.map((one) => `${one} runs and is not counted`),
    ...missing.map((one) => `${one} is counted and does not run`),
  ]
}
