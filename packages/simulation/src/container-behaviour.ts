/** How the containers of an image behave: the image's name says it, as "sim/slow:3" says of its third version. */
import { assert } from '@cloudless/base'

type Range = readonly [min: number, max: number]

export interface Behaviour {
  readonly pullMs: Range
  readonly startMs: Range
  /** From the start until it answers its probes; undefined: never. */
  readonly readyMs: Range | undefined
  /** From SIGTERM to its end; it is killed when its grace is over. */
  readonly stopMs: Range
  /** It ends by itself after so long, with one of these codes. */
  readonly ends?: { readonly afterMs: Range; readonly exitCodes: readonly number[] }
  /** It has no image to pull. */
  readonly isAbsent?: boolean
}

const prompt: Behaviour = {
  pullMs: [50, 3_000],
  startMs: [100, 800],
  readyMs: [0, 0],
  stopMs: [10, 500],
}

export const behaviours = {
  steady: prompt,
  slow: { ...prompt, pullMs: [2_000, 40_000], readyMs: [3_000, 30_000] },
  stubborn: { ...prompt, stopMs: [600_000, 600_000] },
  flaky: { ...prompt, ends: { afterMs: [60_000, 3_600_000], exitCodes: [0, 1, 137] } },
  crashing: { ...prompt, ends: { afterMs: [100, 20_000], exitCodes: [1] } },
  unready: { ...prompt, readyMs: undefined },
  absent: { ...prompt, isAbsent: true },
  finishing: { ...prompt, ends: { afterMs: [2_000, 90_000], exitCodes: [0] } },
  trying: { ...prompt, ends: { afterMs: [2_000, 60_000], exitCodes: [0, 1] } },
  failing: { ...prompt, ends: { afterMs: [2_000, 30_000], exitCodes: [1] } },
} as const satisfies Record<string, Behaviour>

export type BehaviourName = keyof typeof behaviours

export function imageOf(behaviour: BehaviourName, version: number): string {
  return `sim.test/${behaviour}:${version}`
}

export function behaviourNameOf(image: string): BehaviourName {
  const name = /\/([a-z]+):/.exec(image)?.[1]
  assert(name !== undefined && name in behaviours, `${image} says how it behaves`)
  return name as BehaviourName
}

export function behaviourOf(image: string): Behaviour {
  return behaviours[behaviourNameOf(image)]
}
