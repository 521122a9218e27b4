/** Whether a member is gone, so that another device may take over its name. Pure. */
import type { NodeRecord } from '@cloudless/api'
import type { Liveness } from './liveness.ts'

/** A device that has just enrolled has this long to connect before its name is free again. */
const arrivalMsMax = 60_000

/** `liveness` is undefined for a node that has not connected since this coordinator started. */
export function isGone(node: NodeRecord, liveness: Liveness | undefined, nowMs: number): boolean {
  if (liveness !== undefined) return liveness.kind === 'lost'
  return nowMs - Number(node.node!.createdAtMs) >= arrivalMsMax
}
