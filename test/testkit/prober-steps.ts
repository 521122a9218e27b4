/** What is done to a service while a prober asks it: each step ends when the service is whole again. */
import type { Workload } from '@cloudless/api'
import type { Cluster } from './cluster.ts'
import type { Prober } from './prober.ts'
import { isServing, type ServingWatch } from './serving-watch.ts'
import { steadyWebImage, steadyWebPort } from './steady-web.ts'
import { applyWorkload } from './workloads.ts'

export interface ProbedService {
  readonly name: string
  readonly replicas: number
  readonly minAvailable: number
}

export interface ProberStep {
  readonly name: string
  /** The node that dies in it: requests to it may fail until its verdict, and what served there is missed. */
  readonly dies?: string
  /** Resolves with how many of the serving died with their node. */
  readonly act: () => Promise<number>
}

/** Replacing one replica takes a second or two. */
const stepMsMax = 90_000

/** The service asked of the prober, at a version; other versions make other revisions. */
export async function applyProbed(
  cluster: Cluster,
  { name, replicas, minAvailable }: ProbedService,
  version: number,
  { rebalance, ...rollout }: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  await applyWorkload(cluster, {
    name,
    replicas,
    image: steadyWebImage,
    spec: {
      env: { VERSION: String(version) },
      ports: [{ name: 'http', container_port: steadyWebPort }],
      readiness_probe: {
        http: { path: '/healthz', port: steadyWebPort },
        initial_delay: '0s',
        period: '1s',
      },
      rollout: { max_surge: 1, min_available: minAvailable, ...rollout },
      ...(rebalance === undefined ? {} : { rebalance }),
    },
  })
}

/** Every replica is of the newest revision and serves, and nothing else of it is left. */
export function isWhole(workload: Workload, replicas: number): boolean {
  const all = workload.status?.replicas ?? []
  return (
    all.length === replicas &&
    all.every((replica) => isServing(replica) && replica.revision === workload.revision)
  )
}

export async function waitUntilWhole(watch: ServingWatch, service: ProbedService): Promise<void> {
  await watch.when('every replica serves, all of the newest revision', stepMsMax, (workload) =>
    isWhole(workload, service.replicas),
  )
}

/** The steps, in the order in which they can be done one after another; each makes a version of its own. */
export function proberSteps(
  cluster: Cluster,
  service: ProbedService,
  { watch }: Prober,
): ProberStep[] {
  let version = 1

  async function update(rollout: Readonly<Record<string, unknown>>): Promise<void> {
    const before = watch.workload!.revision
    version++
    await applyProbed(cluster, service, version, rollout)
    await watch.when('the update to be seen', stepMsMax, ({ revision }) => revision > before)
  }

  async function replaceAll(rollout: Readonly<Record<string, unknown>>): Promise<number> {
    await update(rollout)
    await waitUntilWhole(watch, service)
    return 0
  }

  /** The node with most of the replicas. */
  function busiest(): string {
    const names = (watch.workload?.status?.replicas ?? []).map((replica) => replica.nodeName)
    const count = (name: string): number => names.filter((other) => other === name).length
    return names.toSorted((a, b) => count(b) - count(a))[0]!
  }

  async function drain(): Promise<number> {
    const node = busiest()
    await cluster.ctl.text(['node', 'drain', node])
    await watch.when(`${node} to be empty and the service whole`, stepMsMax, (workload) => {
      const left = workload.status!.replicas.filter((replica) => replica.nodeName === node)
      return left.length === 0 && isWhole(workload, service.replicas)
    })
    await cluster.ctl.text(['node', 'uncordon', node])
    return 0
  }

  /** The node that was drained last is empty: some of its work comes back to it. */
  async function rebalance(): Promise<number> {
    const here = new Set(watch.serving.map((replica) => replica.nodeName))
    const empty = cluster.agentNames.find((name) => !here.has(name))!
    await applyProbed(cluster, service, version, { rebalance: { enabled: true, interval: '1s' } })
    await watch.when(`work on ${empty} again`, stepMsMax, (workload, serving) => {
      const isBack = serving.some((replica) => replica.nodeName === empty)
      return isBack && isWhole(workload, service.replicas)
    })
    await applyProbed(cluster, service, version)
    await waitUntilWhole(watch, service)
    return 0
  }

  async function die(node: string): Promise<number> {
    await update({ strategy: 'ROLLING_UPDATE' })
    const isNew = (workload: Workload): boolean =>
      workload.status!.replicas.some((r) => r.revision === workload.revision && isServing(r))
    await watch.when('the first of the new to serve', stepMsMax, isNew)
    const died = watch.serving.filter((replica) => replica.nodeName === node).length
    await cluster.agent(node).host.powerOff({ silently: true })
    await watch.when(`the service whole without ${node}`, stepMsMax, (workload) => {
      const left = workload.status!.replicas.filter((replica) => replica.nodeName !== node)
      return left.filter(isServing).length === service.replicas && left.length === service.replicas
    })
    return died
  }

  const dying = cluster.agentNames.at(-1)!
  return [
    { name: 'rolling update', act: () => replaceAll({ strategy: 'ROLLING_UPDATE' }) },
    {
      name: 'canary',
      act: () => replaceAll({ strategy: 'CANARY', canary: { replicas: 1, bake: '1s' } }),
    },
    { name: 'blue-green', act: () => replaceAll({ strategy: 'BLUE_GREEN' }) },
    { name: 'drain', act: drain },
    { name: 'rebalance', act: rebalance },
    { name: 'node death in a rollout', dies: dying, act: () => die(dying) },
  ]
}
