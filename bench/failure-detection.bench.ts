/**
 * Failure detection on a virtual clock: the coordinator's own, fed by heartbeats over links that are drawn from a seed.
 *
 *     node bench/failure-detection.bench.ts --seeds 100
 *
 * Wanted: an hour of a link that loses one packet in ten and delays each by up to 300 ms gives no false verdict; and a
 * server on a LAN is given up within 1.5 s of the moment its cable is cut, whenever between two heartbeats that is.
 */
import { parseArgs } from 'node:util'
import { create } from '@bufbuild/protobuf'
import { HeartbeatRequestSchema, HelloSchema } from '@cloudless/api'
import { seededRandom } from '@cloudless/base'
import { FakeClock, livenessDefaults, LiveNodes } from '@cloudless/coordinator/testing'
import { LossyLink, type LinkFaults } from './support/lossy-link.ts'
import { percentile, printTable, summarizeMs } from './support/table.ts'

const { values: flags } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    /** Print each link's limit at the end of its hour. */
    verbose: { type: 'boolean', default: false },
  },
})
const seeds = Number(flags.seeds)

const hourMs = 3_600_000
const nodeId = 'node-a'
const links: Readonly<Record<string, LinkFaults>> = {
  'loses 10 %, jitter 300 ms': { loss: 0.1, delayMs: 30, jitterMs: 300 },
  'loses 10 %': { loss: 0.1, delayMs: 5, jitterMs: 2 },
  'loses 3 %, jitter 100 ms': { loss: 0.03, delayMs: 20, jitterMs: 100 },
  'jitter 300 ms': { loss: 0, delayMs: 30, jitterMs: 300 },
}
const lan: LinkFaults = { loss: 0.0001, delayMs: 0.2, jitterMs: 1 }
/** A LAN node is known for this long before its cable is cut. */
const knownForMs = [60_000, 600_000]

const rows = Object.entries(links).map(([name, faults]) => {
  let verdicts = 0
  const limits: number[] = []
  for (let seed = 0; seed < seeds; seed++) {
    const one = watch(seed, faults)
    one.clock.advance(hourMs)
    verdicts += one.verdicts.length
    limits.push(one.nodes.detectionOf(nodeId)!.limitMs)
    one.nodes.close()
  }
  if (flags.verbose) console.log(name, summarizeMs(limits))
  return {
    figure: `false verdicts in ${seeds} hours of a link that ${name}`,
    measured: `${verdicts}, limit at the end ${Math.round(percentile(limits, 0.5))} ms (median)`,
    wanted: '0',
    isMet: verdicts === 0,
  }
})
const lanRows = knownForMs.map((knownMs) => {
  const samples = Array.from({ length: seeds }, (_, seed) => verdictAfterCut(seed, knownMs))
  return {
    figure: `a LAN server known for ${knownMs / 60_000} min: from the cut to the verdict`,
    measured: summarizeMs(samples),
    wanted: 'p95 <= 1500 ms',
    isMet: percentile(samples, 0.95) <= 1_500,
  }
})
printTable('Failure detection', [...rows, ...lanRows])

function verdictAfterCut(seed: number, knownMs: number): number {
  const { clock, link, nodes, verdicts } = watch(seed, lan)
  clock.advance(
    knownMs + seededRandom(seed + 1_000_000).next() * livenessDefaults.heartbeatIntervalMs,
  )
  link.cut()
  const cutMs = clock.monotonicMs()
  clock.advance(120_000)
  nodes.close()
  return (verdicts[0] ?? Number.POSITIVE_INFINITY) - cutMs
}

/** A node that sends heartbeats over a link of its own; `verdicts` tells when it was given up. */
function watch(seed: number, faults: LinkFaults) {
  const clock = new FakeClock()
  const random = seededRandom(seed)
  const link = new LossyLink({ clock, random }, faults)
  const verdicts: number[] = []
  const hello = create(HelloSchema, { nodeId, runtimeReady: true })
  const heartbeat = create(HeartbeatRequestSchema, { nodeId })
  const nodes: LiveNodes = new LiveNodes(
    {
      clock,
      onChange: () => {
        if (nodes.get(nodeId)?.liveness.kind !== 'lost') return
        verdicts.push(clock.monotonicMs())
        clock.after(0, connect) // So that an hour counts every false verdict.
      },
    },
    livenessDefaults,
  )
  const beat = (): void => {
    link.send(() => {
      nodes.heartbeat(nodeId, heartbeat)
      nodes.ask(nodeId)
    })
    clock.after(livenessDefaults.heartbeatIntervalMs, beat)
  }
  function connect(): void {
    if (verdicts.length > 20) return
    nodes.connected(nodeId, hello)
    nodes.ask(nodeId)
  }
  connect()
  clock.after(random.next() * livenessDefaults.heartbeatIntervalMs, beat)
  return { clock, link, nodes, verdicts }
}
