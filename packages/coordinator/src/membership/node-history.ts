/**
 * What is remembered of a node's comings and goings: how long it was watched and how much of that it was there, how often
 * it was lost, how its replicas fared. Sums in which older times count less, halved every seven days, so that what was
 * bad once is forgiven and nothing needs to be forgotten.
 *
 * Invariants
 *   1. Time that nobody watched is not counted: neither the coordinator's own downtime, nor a node's absence while it is
 *      drained or cordoned, which somebody wanted.
 *   2. Remembering up to one time and then up to a later one is the same as remembering up to the later at once.
 *
 * Pure: unix milliseconds are handed in.
 */
import { create } from '@bufbuild/protobuf'
import { NodeHistorySchema, NodePhase, type NodeHistory, type NodeRecord } from '@cloudless/api'

const dayMs = 86_400_000
const halfLifeMs = 7 * dayMs
/** Of a sum to which one is added each week, once it has settled. */
const weeksRemembered = 1 / Math.LN2
/** As if every node had been there for so long before it was known: one short absence of a new one is no verdict. */
const presumedMs = dayMs

export interface Watch {
  readonly nowMs: number
  /** Nothing is known of before. */
  readonly watchedSinceMs: number
}

/** What is remembered at `nowMs` of a node that has been as its record says since. */
export function historyUntil(record: NodeRecord, { nowMs, watchedSinceMs }: Watch): NodeHistory {
  const before = record.history ?? create(NodeHistorySchema, { asOfMs: BigInt(Math.round(nowMs)) })
  const asOfMs = Number(before.asOfMs)
  const elapsedMs = Math.max(0, nowMs - asOfMs)
  const fade = 0.5 ** (elapsedMs / halfLifeMs)
  const watchedMs = fadedSum(Math.min(elapsedMs, Math.max(0, nowMs - watchedSinceMs)))
  const isThere = record.node!.status!.phase !== NodePhase.OFFLINE
  const counts = isMember(record) && (isThere || !isExcused(record))
  return {
    ...before,
    observedMs: before.observedMs * fade + (counts ? watchedMs : 0),
    availableMs: before.availableMs * fade + (counts && isThere ? watchedMs : 0),
    losses: before.losses * fade,
    disconnections: before.disconnections * fade,
    replicasOk: before.replicasOk * fade,
    replicasFailed: before.replicasFailed * fade,
    asOfMs: BigInt(Math.round(Math.max(nowMs, asOfMs))),
  }
}

/** It is given up as lost now. `record`: as it was before. */
export function historyWithLoss(record: NodeRecord, watch: Watch): NodeHistory {
  const history = historyUntil(record, watch)
  if (isExcused(record)) return history
  return { ...history, losses: history.losses + 1, lastLostAtMs: BigInt(Math.round(watch.nowMs)) }
}

/** A session of it begins while it is given up. `isSame`: it runs what it ran before, so it had only been cut off. */
export function historyWithReturn(record: NodeRecord, watch: Watch, isSame: boolean): NodeHistory {
  const history = historyUntil(record, watch)
  const isNew = history.lastReturnedAtMs < record.lostAtMs
  const disconnections = history.disconnections + (isNew && isSame && !isExcused(record) ? 1 : 0)
  return { ...history, disconnections, lastReturnedAtMs: BigInt(Math.round(watch.nowMs)) }
}

export function historyWithOutcomes(
  history: NodeHistory,
  { ok, failed }: { readonly ok: number; readonly failed: number },
): NodeHistory {
  return {
    ...history,
    replicasOk: history.replicasOk + ok,
    replicasFailed: history.replicasFailed + failed,
  }
}

/** The share of time in which it was there. */
export function availabilityOf({ observedMs, availableMs }: NodeHistory): number {
  return (availableMs + presumedMs) / (observedMs + presumedMs)
}

/** Losses a week; one of a node that had only been cut off counts half. */
export function lossesPerWeekOf({ losses, disconnections }: NodeHistory): number {
  return (losses - Math.min(losses, disconnections) / 2) / weeksRemembered
}

/** What a stretch of time that ends now adds to a sum that fades. */
function fadedSum(durationMs: number): number {
  return (halfLifeMs / Math.LN2) * (1 - 0.5 ** (durationMs / halfLifeMs))
}

function isMember(record: NodeRecord): boolean {
  return record.node!.status!.phase !== NodePhase.ENROLLING
}

/** Somebody is working on it. */
function isExcused({ node, drainStartedAtMs }: NodeRecord): boolean {
  return node!.unschedulable || drainStartedAtMs > 0n
}
