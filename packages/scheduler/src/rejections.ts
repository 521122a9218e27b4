/** Why nodes will not do: reasons as small numbers while deciding, and as sentences for people afterwards. */
import type { RejectionCount } from './model.ts'

export interface Rejection {
  /** Name of the filter. */
  readonly filter: string
  readonly reason: string
}

/** Nothing speaks against the node. */
export const accepted = 0
/** There is no node in the row. */
export const noNode = 0xffff

/** Reasons name labels, taints and ports, so there is no end to them in a long life. */
const codesMax = 0x8000

/** Gives each reason a number, until all are forgotten. */
export class RejectionCodes {
  readonly #rejections: (Rejection | undefined)[] = [undefined]
  readonly #codes = new Map<string, Map<string, number>>()

  codeOf(filter: string, fullReason: string): number {
    let codes = this.#codes.get(filter)
    if (codes === undefined) this.#codes.set(filter, (codes = new Map()))
    const known = codes.get(fullReason)
    if (known !== undefined) return known
    const reason = shortened(fullReason)
    const shortKnown = codes.get(reason)
    if (shortKnown !== undefined) return shortKnown
    if (this.#rejections.length >= codesMax && reason !== filter) return this.codeOf(filter, filter)
    const code = this.#rejections.push({ filter, reason }) - 1
    codes.set(reason, code)
    return code
  }

  /** There are so many that a decision could run out of numbers: from then on reasons are named by their filter alone. */
  get isCrowded(): boolean {
    return this.#rejections.length > codesMax / 2
  }

  /** Whoever keeps a code must have dropped it. */
  forget(): void {
    this.#rejections.length = 1
    this.#codes.clear()
  }

  rejectionOf(code: number): Rejection {
    return this.#rejections[code]!
  }
}

/** Ten of them, twice, must fit into a record, and thousands into an answer: a path may be as long as 4,096 characters. */
const reasonBytesMax = 180
const characterBytesMax = 3

function shortened(reason: string): string {
  if (reason.length * characterBytesMax <= reasonBytesMax) return reason
  const { read } = new TextEncoder().encodeInto(reason, new Uint8Array(reasonBytesMax))
  return read === reason.length ? reason : `${reason.slice(0, read)}…`
}

/** The reasons name taints and ports, so a large cluster could have thousands. */
const reasonsMax = 10

/** Reasons with their numbers of nodes, most common first; the rare ones together. The numbers sum to the reasons given. */
export function countRejections(
  countByReason: ReadonlyMap<string, number>,
): readonly RejectionCount[] {
  const ordered = [...countByReason]
    .map(([reason, nodeCount]) => ({ reason, nodeCount }))
    .sort((a, b) => b.nodeCount - a.nodeCount || (a.reason < b.reason ? -1 : 1))
  if (ordered.length <= reasonsMax) return ordered
  const rare = ordered.slice(reasonsMax - 1)
  const nodeCount = rare.reduce((sum, { nodeCount }) => sum + nodeCount, 0)
  return [...ordered.slice(0, reasonsMax - 1), { reason: 'other reasons', nodeCount }]
}

/** "0 of 3 nodes: 2 not enough memory, 1 cordoned". */
export function describeRejections(
  nodeCount: number,
  rejections: readonly RejectionCount[],
): string {
  if (nodeCount === 0) return 'there are no nodes'
  const parts = rejections.map(({ reason, nodeCount }) => `${nodeCount} ${reason}`)
  return `0 of ${nodeCount} ${nodeCount === 1 ? 'node' : 'nodes'}: ${parts.join(', ')}`
}
