/**
 * What speaks against the device itself, -1 to 0: a phone or laptop off its charger, above all with little left, and a
 * link that is paid by volume. Such a device takes work when nothing better is there.
 */
import type { NodeView } from '../model.ts'

const lowPercent = 20

export function deviceScore({ onBattery, batteryPercent, isMetered }: NodeView): number {
  let score = isMetered ? -0.2 : 0
  if (onBattery) score -= batteryPercent >= 0 && batteryPercent < lowPercent ? 0.8 : 0.4
  return score
}
