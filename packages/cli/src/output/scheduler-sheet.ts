/** The scheduler's configuration for people, in the words of the options that set it. */
import type { SchedulerConfiguration } from '@cloudless/api'
import { facts, type Fact } from './sheet.ts'

export function schedulerSheet(configuration: SchedulerConfiguration): string {
  const { weights, changed } = configuration
  const rows: (readonly [member: string, name: string, value: string | number | undefined])[] = [
    ['weights', 'locality', weights?.locality],
    ['weights', 'reliability', weights?.reliability],
    ['weights', 'cost', weights?.cost],
    ['weights', 'utilization', weights?.utilization],
    ['weights', 'network-penalty', weights?.networkPenalty],
    ['packing', 'packing', configuration.packing],
    ['spreadTopology', 'spread', configuration.spreadTopology],
    ['cpuOvercommit', 'cpu-overcommit', configuration.cpuOvercommit],
    ['memoryOvercommit', 'memory-overcommit', configuration.memoryOvercommit],
    ['preemptionPriorityAbove', 'preemption-above', configuration.preemptionPriorityAbove],
  ]
  return facts(
    rows.map(([member, name, value = '']): Fact => {
      return [name, changed.includes(member) ? `${value}  (changed)` : String(value)]
    }),
  )
}
