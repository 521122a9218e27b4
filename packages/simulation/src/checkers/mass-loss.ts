/**
 * When many nodes vanish together, what they ran is held back: none of it is replaced before its node's hold is over, but
 * for one node after the other at the rate that is set, as long as most of them stay away.
 *
 * Whether it was a mass loss is counted here from what the records say, and only where it is beyond doubt: near the limits
 * the coordinator, which also counts those that are about to go, may see it either way.
 */
import { NodePhase, type NodeRecord } from '@cloudless/api'
import type { RecordChange } from '@cloudless/coordinator/simulation'
import type { World } from '../world.ts'
import type { Checker, CheckerDeps, Picture } from './checker.ts'
import { lostPredecessor } from './replica-facts.ts'

const nodesMin = 3
/** Of those that were there: beyond doubt from here on. */
const shareMin = 0.5
/** Those that are given up within so much went together. */
const togetherMs = 8_000
/** A coordinator that starts must have heard of its nodes first. */
const settledMs = 60_000
/** As set by default: one a minute; so three within a minute are one too many even if one of them came late. */
const minuteMs = 60_000
const releasesMax = 2

export function massLossChecker(world: World): (deps: CheckerDeps) => Checker {
  return ({ fail, nowMs }) => {
    /** When the nodes that are away were given up, in the world's time; by id. */
    const lostAtMs = new Map<string, number>()
    /** Until when those that are away are held; by id, by the coordinator's clock. */
    const heldUntilMs = new Map<string, bigint>()
    /** When the first replica of a node that was still held was replaced; by id, by the coordinator's clock. */
    const releasedAtMs = new Map<string, bigint>()

    function wentAway(nodeId: string, { node, heldUntilMs: until }: NodeRecord, picture: Picture) {
      if (until > 0n) heldUntilMs.set(nodeId, until)
      if (isOfItsOwnAccord(node!.status!.message)) return
      lostAtMs.set(nodeId, nowMs())
      const together = [...lostAtMs.values()].filter((atMs) => nowMs() - atMs <= togetherMs).length
      const nodes = [...picture.all('node')]
      const away = nodes.filter(({ record }) => isOffline(record)).length
      const wereThere = nodes.length - away + together
      const isMass = together >= nodesMin && together >= shareMin * wereThere
      if (!isMass || until > 0n || world.coordinator.disturbance.quietMs < settledMs) return
      fail(`${node!.name} vanished with ${together - 1} others, of ${wereThere}, and is not held`)
    }

    function isBack(nodeId: string): void {
      for (const map of [lostAtMs, heldUntilMs, releasedAtMs]) map.delete(nodeId)
    }

    function replaced(nodeId: string, atMs: bigint, picture: Picture): void {
      const until = heldUntilMs.get(nodeId)
      const node = picture.get('node', nodeId)
      // What an operator wants moved off it is moved.
      if (until === undefined || node === undefined || node.drainStartedAtMs > 0n) return
      if (atMs >= until || releasedAtMs.has(nodeId)) return
      releasedAtMs.set(nodeId, atMs)
      const areMostBack = heldUntilMs.size * 2 < [...picture.all('node')].length
      const lately = [...releasedAtMs.values()].filter((ms) => atMs - ms < minuteMs).length
      // What a coordinator could not write for a while, with a full disk, it writes at once.
      const isLate = world.coordinator.disturbance.quietMs < minuteMs
      if (lately <= releasesMax || areMostBack || isLate) return
      fail(`what ${lately} nodes ran was replaced within a minute, though all are held`)
    }

    return {
      name: 'mass loss',
      onChanges(changes, picture) {
        for (const change of changes) {
          if (change.kind === 'node') {
            const { id, before, after } = change as RecordChange<'node'>
            if (after === undefined || !isOffline(after)) isBack(id)
            else if (before === undefined || !isOffline(before)) wentAway(id, after, picture)
          }
          if (change.kind !== 'replica') continue
          const { after } = change as RecordChange<'replica'>
          const lost = lostPredecessor(change as RecordChange<'replica'>, picture)
          if (lost) replaced(lost.status!.nodeId, after!.status!.createdAtMs, picture)
        }
      },
    }
  }
}

function isOffline({ node }: NodeRecord): boolean {
  return node!.status!.phase === NodePhase.OFFLINE
}

/** Its agent was stopped by somebody: it has said goodbye. */
function isOfItsOwnAccord(message: string): boolean {
  return message.includes('was stopped')
}
