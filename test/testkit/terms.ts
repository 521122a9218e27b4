/** Who led in which term, as the coordinators' logs have it. */
import { readFileSync } from 'node:fs'
import type { CoordinatorOnHost } from './coordinator-on-host.ts'

const elected = /it was elected \(term (\d+)\)/

/** Terms in which more than one led, one line each; and how many terms there were. */
export function findSharedTerms(all: readonly CoordinatorOnHost[]): {
  readonly terms: number
  readonly shared: readonly string[]
} {
  const leaders = new Map<number, Set<string>>()
  for (const { id, log } of all) {
    for (const line of readFileSync(log, 'utf8').split('\n')) {
      const term = Number(elected.exec(line)?.[1] ?? Number.NaN)
      if (!Number.isNaN(term)) leaders.set(term, (leaders.get(term) ?? new Set()).add(id))
    }
  }
  const shared = [...leaders].filter(([, ids]) => ids.size > 1)
  return {
    terms: leaders.size,
    shared: shared.map(([term, ids]) => `term ${term}: ${[...ids].join(', ')}`),
  }
}
