/** What befalls coordinators, drawn from a seed: what it is, whom it hits, and for how long. Pure. */
import { between, pick, type Random } from '@cloudless/base'

/** Those that leave the rest without a majority come as often as the others. */
export const faultKinds = [
  'killed',
  'killed with etcd',
  'all killed',
  'all killed with etcd',
  'held up',
  'held up with etcd',
  'cut off',
  'hears nothing',
  'is not heard',
  'cut from one other',
  'cut from the others',
  'loses packets',
  'has a slow link',
  'disk full',
  'clock moved',
  'wiped and joined anew',
  'lead handed over',
  'restarted in turn',
] as const

export type FaultKind = (typeof faultKinds)[number]

export interface CoordinatorFault {
  readonly kind: FaultKind
  readonly who: 'leader' | 'follower'
  /** Which follower, 0 or 1; of a leader that is cut from one other: from which. */
  readonly which: number
  readonly holdMs: number
  /** Of the packets that are lost; of a slow link, how many tens of kilobits a second pass. */
  readonly percent: number
  /** From the beginning, or the end of the one before it, when that is not healed first. */
  readonly afterMs: number
  readonly beside: boolean
}

/** They need the others, so nothing else happens meanwhile. */
const alone: readonly FaultKind[] = ['wiped and joined anew', 'restarted in turn', 'clock moved']
const faultsMax = 3

export function drawFaults(random: Random): CoordinatorFault[] {
  const count = 1 + Math.floor(random.next() * faultsMax)
  const faults = Array.from({ length: count }, () => drawFault(random))
  return faults.map((fault, n) => {
    const before = faults[n - 1]
    const mayOverlap =
      before !== undefined && ![before, fault].some(({ kind }) => alone.includes(kind))
    return { ...fault, beside: fault.beside && mayOverlap }
  })
}

function drawFault(random: Random): CoordinatorFault {
  return {
    kind: pick(random, faultKinds)!,
    who: random.next() < 0.6 ? 'leader' : 'follower',
    which: random.next() < 0.5 ? 0 : 1,
    holdMs: Math.round(between(random, 1_000, 6_000)),
    percent: Math.round(between(random, 5, 20)),
    afterMs: Math.round(between(random, 200, 1_500)),
    beside: random.next() < 0.4,
  }
}

export function describeFault({ kind, who, holdMs, percent, beside }: CoordinatorFault): string {
  const whom = kind.startsWith('all') || kind === 'restarted in turn' ? '' : `${who} `
  const part = degreeOf(kind, percent)
  const lasted = instant.includes(kind) ? '' : ` for ${(holdMs / 1_000).toFixed(1)} s`
  return `${beside ? '+ ' : ''}${whom}${kind}${part}${lasted}`
}

function degreeOf(kind: FaultKind, percent: number): string {
  if (kind === 'loses packets') return ` (${percent} %)`
  return kind === 'has a slow link' ? ` (${10 * percent} kbit/s)` : ''
}

const instant: readonly FaultKind[] = [
  'wiped and joined anew',
  'restarted in turn',
  'lead handed over',
]
