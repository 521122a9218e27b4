/**
 * What the scheduler thinks of each node for a replica, as a table: those that could take it with their score and its terms,
 * the others with the reason. A star marks the one it is on, or would go to.
 */
import type { NodeVerdict, ScoreTerm } from '@cloudless/api'
import { formatColumns } from './table.ts'

export interface VerdictTableOptions {
  /** Also terms that are 0 on every node, what each adds to the score, and every node however many. */
  readonly wide: boolean
  readonly headers: boolean
}

/** Rows that are shown of each kind, unless all are asked for. */
const rowsMax = 15

export function verdictTable(
  verdicts: readonly NodeVerdict[],
  { wide, headers }: VerdictTableOptions,
): string {
  const feasible = verdicts.filter(({ reason }) => reason === '')
  const refused = verdicts.filter(({ reason }) => reason !== '')
  const shown = wide ? verdicts : [...feasible.slice(0, rowsMax), ...refused.slice(0, rowsMax)]
  const terms = termsShown(feasible, wide)
  const withPlace = wide || feasible.some(({ replicasInPlace }) => replicasInPlace > 0)
  const head = [' ', 'NODE', 'VERDICT', ...(withPlace ? ['IN PLACE'] : []), ...terms.map(titleOf)]
  const rows = shown.map((verdict) => rowOf(verdict, terms, { wide, withPlace }))
  const left = verdicts.length - shown.length
  return [
    formatColumns(headers ? [head, ...rows] : rows),
    ...(left === 0 ? [] : [`and ${left} more; -o wide shows all\n`]),
  ].join('')
}

/** Those that make a difference between nodes or add to a score, in the order of the contract. */
function termsShown(feasible: readonly NodeVerdict[], wide: boolean): readonly ScoreTerm[] {
  const [first] = feasible
  if (first === undefined) return []
  return first.terms.filter(
    ({ name }) => wide || feasible.some(({ terms }) => termOf(terms, name)?.contribution !== 0),
  )
}

/** "LOCALITY x0.30": what a full value adds. */
function titleOf({ name, weight }: ScoreTerm): string {
  return `${name.toUpperCase().replaceAll('_', ' ')} x${weight.toFixed(2)}`
}

function rowOf(
  verdict: NodeVerdict,
  terms: readonly ScoreTerm[],
  { wide, withPlace }: { readonly wide: boolean; readonly withPlace: boolean },
): string[] {
  const { nodeName, nodeId, chosen, reason, score, replicasInPlace } = verdict
  const node = [chosen ? '*' : ' ', nodeName || nodeId]
  if (reason !== '') return [...node, reason]
  const cells = terms.map(({ name }) => {
    const term = termOf(verdict.terms, name)
    if (term === undefined) return '-'
    const value = String(Math.round(term.value))
    if (!wide) return value
    return `${value} (${term.contribution < 0 ? '' : '+'}${term.contribution.toFixed(3)})`
  })
  return [...node, score.toFixed(2), ...(withPlace ? [String(replicasInPlace)] : []), ...cells]
}

function termOf(terms: readonly ScoreTerm[], name: string): ScoreTerm | undefined {
  return terms.find((term) => term.name === name)
}
