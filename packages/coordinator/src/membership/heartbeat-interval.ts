/** How often agents are asked for heartbeats: as often as configured while they are few. Pure. */

/** All nodes together; what it costs is bounded, and the verdict on a node of thousands takes a little longer. */
export const heartbeatsPerSecondMax = 2_000

/** In whole multiples of the configured interval, so that it does not move with every node. */
export function heartbeatIntervalFor(nodeCount: number, configuredMs: number): number {
  const leastMs = (nodeCount / heartbeatsPerSecondMax) * 1_000
  return configuredMs * Math.max(1, Math.ceil(leastMs / configuredMs))
}
