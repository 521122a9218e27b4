/** How far a node can be relied on, part by part, and how its silence is judged: a part of `node describe`. */
import type { Node } from '@cloudless/api'
import { age } from '../resources/format.ts'
import { facts } from './sheet.ts'
import { formatColumns } from './table.ts'

/** Each part of the score with its weight, and what it was made from. */
export function reliabilitySheet(node: Node, nowMs: number): string {
  const { reliability } = node
  if (reliability === undefined) return ''
  const { availability, lossesPerWeek, lastLostAtMs, penalty, youthFactor } = reliability
  const lost = lastLostAtMs === 0n ? '' : `, last ${age(lastLostAtMs, nowMs)} ago`
  const there = `there ${(availability * 100).toFixed(1)}% of the time`
  const rows: readonly (readonly [string, number, number, string])[] = [
    ['uptime', 0.3, reliability.uptime, `member for ${age(node.createdAtMs, nowMs)}, ${there}`],
    ['response', 0.2, reliability.response, heartbeats(node)],
    ['success', 0.2, reliability.success, 'of its replicas that did not fail'],
    ['capacity', 0.15, reliability.capacity, 'how well its load leaves room'],
    ['stability', 0.15, reliability.stability, `${lossesPerWeek.toFixed(1)} losses a week${lost}`],
  ]
  const table = formatColumns([
    ['PART', 'WEIGHT', 'VALUE', 'WHAT IT IS MADE FROM'],
    ...rows.map(([name, weight, value, why]) => [name, weight.toFixed(2), value.toFixed(2), why]),
    ...(penalty > 0
      ? [['penalty', '', `-${penalty.toFixed(2)}`, 'taints, no public address']]
      : []),
    ...(youthFactor < 1
      ? [['youth', '', `x ${youthFactor.toFixed(2)}`, 'it has just joined']]
      : []),
  ])
  return table + `score ${node.reliabilityScore.toFixed(2)}: ${reliability.band}\n`
}

function heartbeats({ detection }: Node): string {
  if (detection === undefined) return 'how promptly it is heard of'
  return `a heartbeat every ${Math.round(detection.intervalMs)} ms`
}

export function detectionSheet({ detection }: Node): string {
  if (detection === undefined) return ''
  const { intervalMs, deviationMs, limitMs, phi } = detection
  const heard = `every ${Math.round(intervalMs)} ms, give or take ${Math.round(deviationMs)} ms`
  return facts([
    ['Heard', heard],
    ['Lost after', `${(limitMs / 1_000).toFixed(1)}s of silence`],
    ['Suspicion now', phi === 0 ? 'none' : `${phi.toFixed(1)} of 7`],
  ])
}
