/**
 * Nodes that come and go as they do in homes: programs are killed, power fails, cables are pulled, people drain a machine
 * and give it back, one after another and a few at a time.
 */
import { between, pick, sleep, systemClock, type Random } from '@cloudless/base'
import type { Cluster } from './cluster.ts'
import { waitFor } from './wait-for.ts'

export type Fault = 'agent killed' | 'power off' | 'link cut' | 'drained'

export interface ChurnOptions {
  readonly random: Random
  /** Nodes that go, and come back. */
  readonly nodes: number
  readonly nodesPerMinute: number
  /** Away at the same time. */
  readonly awayMax: number
  /** How long one stays away, milliseconds: between these. */
  readonly awayMs: readonly [number, number]
}

export interface Churn {
  /** Broken or not yet whole again. A drained node is in order: what happens to its replicas is our own doing. */
  isBroken(nodeName: string): boolean
  /** What was done, one line each. */
  readonly history: readonly string[]
  /** Resolves when every node is back. */
  run(): Promise<void>
}

const faults: readonly Fault[] = ['agent killed', 'power off', 'link cut', 'drained']
/** A node that is back may still be given up for what it did before, until its first heartbeats have come. */
const wholeAfterMs = 1_500

export function createChurn(cluster: Cluster, options: ChurnOptions): Churn {
  const { random } = options
  const broken = new Set<string>()
  const away = new Set<string>()
  const history: string[] = []

  async function goAndReturn(node: string, fault: Fault, awayMs: number): Promise<void> {
    const startedMs = systemClock.monotonicMs()
    if (fault !== 'drained') broken.add(node)
    try {
      await withFault(node, fault, awayMs)
      await cluster.waitForPhase(node, 'READY', 60_000)
      await sleep(systemClock, wholeAfterMs)
    } finally {
      broken.delete(node)
      away.delete(node)
      const seconds = ((systemClock.monotonicMs() - startedMs) / 1_000).toFixed(1)
      history.push(`${node} ${fault}, back after ${seconds} s`)
    }
  }

  async function withFault(node: string, fault: Fault, awayMs: number): Promise<void> {
    const agent = cluster.agent(node)
    const { host } = agent
    switch (fault) {
      case 'agent killed':
        await agent.kill()
        await sleep(systemClock, awayMs)
        return agent.start()
      case 'power off':
        await host.powerOff({ silently: random.next() < 0.5 })
        await sleep(systemClock, awayMs)
        await host.boot()
        return agent.start()
      case 'link cut':
        await host.link.cut()
        await sleep(systemClock, awayMs)
        return host.link.heal()
      case 'drained':
        await cluster.ctl.text(['node', 'drain', node])
        await sleep(systemClock, awayMs)
        await cluster.ctl.text(['node', 'uncordon', node])
    }
  }

  return {
    isBroken: (node) => broken.has(node),
    history,
    async run() {
      const running: Promise<void>[] = []
      const everyMs = 60_000 / options.nodesPerMinute
      for (let n = 0; n < options.nodes; n++) {
        await waitFor(() => away.size < options.awayMax, {
          what: 'nodes to come back',
          deadlineMs: 120_000,
        })
        const here = cluster.agentNames.filter((name) => !away.has(name))
        const node = pick(random, here)!
        // Each kind as often as the others, however short the run is.
        const fault = faults[n % faults.length]!
        away.add(node)
        running.push(goAndReturn(node, fault, between(random, ...options.awayMs)))
        await sleep(systemClock, everyMs)
      }
      await Promise.all(running)
    },
  }
}
