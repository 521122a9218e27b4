/** From what is asked for to what is done: limits, stabilization windows and the pace of growth. Pure. */
import { withinAutoscaling, type WorkloadSpec } from '@cloudless/api'
import { formatDurationMs } from '@cloudless/base'
import {
  noteAskedFor,
  stabilized,
  type ScaleHistory,
  type StabilizationWindows,
} from './scale-history.ts'

export interface ScalePlan {
  /** How many there should be now. */
  readonly replicas: number
  readonly history: ScaleHistory
  /** For people: why it is not what is asked for; empty when it is. */
  readonly reason: string
  /** Something is held back no longer than this; 0: nothing to wait for but new figures. */
  readonly againAfterMs: number
}

/** A step of growth at most doubles the number, or adds this many, whichever is more... */
const growthStepMin = 4
/** ...and the next one is so much later: new replicas need a while to take their share. */
export const growthPeriodMs = 15_000

/** `asked`: undefined when nothing is known, which counts as asking for no change. */
export function planScale(
  spec: Pick<WorkloadSpec, 'autoscaling' | 'rollout'>,
  { asked, current }: { readonly asked: number | undefined; readonly current: number },
  before: ScaleHistory,
  nowMs: number,
): ScalePlan {
  const windows = {
    upMs: Number(spec.autoscaling?.scaleUpStabilizationMs ?? 0n),
    downMs: Number(spec.autoscaling?.scaleDownStabilizationMs ?? 0n),
  }
  const wanted = asked ?? current
  const history = noteAskedFor(before, wanted, windows, nowMs)
  const steady = stabilized(history, current, windows, nowMs)
  const limited = withinAutoscaling(spec, steady)
  const replicas = Math.min(limited, Math.max(2 * current, current + growthStepMin))
  const waitMs = growthPeriodMs - (nowMs - (before.grownAtMs ?? Number.NEGATIVE_INFINITY))
  if (replicas > current && waitMs > 0) {
    return { replicas: current, history, reason: sayPace, againAfterMs: waitMs }
  }
  const isHeldBack = replicas < limited
  return {
    replicas,
    history: replicas > current ? { ...history, grownAtMs: nowMs } : history,
    reason: isHeldBack ? sayPace : sayWhy({ wanted, steady, limited }, windows),
    againAfterMs: isHeldBack ? growthPeriodMs : 0,
  }
}

const sayPace = 'it grows by no more than a doubling at a time'

function sayWhy(
  numbers: { readonly wanted: number; readonly steady: number; readonly limited: number },
  { upMs, downMs }: StabilizationWindows,
): string {
  const { wanted, steady, limited } = numbers
  if (limited < steady) return `${wanted} are asked for, and at most ${limited} allowed`
  if (limited > steady) return `${wanted} are asked for, and at least ${limited} wanted`
  if (steady < wanted) {
    return `${wanted} are asked for: it grows when they have been for ${formatDurationMs(upMs)}`
  }
  if (steady > wanted) {
    return `${wanted} are asked for: it shrinks when no more have been for ${formatDurationMs(downMs)}`
  }
  return ''
}
