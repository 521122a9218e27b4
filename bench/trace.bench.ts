/**
 * How much of what is asked for finds a place: tasks in the shape of a public GPU trace come one by one, stay, and ask
 * in the end for more GPUs than there are. Ours beside best fit, first fit and chance, on the same tasks.
 */
import { seededRandom } from '@cloudless/base'
import type { ReplicaKind } from '@cloudless/scheduler'
import { asTraced, halfInSeveral, tracedNodes, tracedTasks } from './support/gpu-trace.ts'
import { policies, type Placer } from './support/placement-policies.ts'
import { printTable } from './support/table.ts'

/** Of the GPUs there are. */
const askedShare = 1.1
const seeds = [1, 2, 3, 4, 5]

const nodes = tracedNodes(seededRandom(2023))
const gpus = nodes.reduce((sum, { allocatable }) => sum + allocatable.gpuCount, 0)
for (const [mix, title] of [
  [asTraced, 'tasks as traced'],
  [halfInSeveral, 'half of the GPUs asked for in twos, fours and eights'],
] as const) {
  const placedBy = new Map<string, Placed>()
  for (const [name, policy] of Object.entries(policies)) {
    const shares = seeds.map((seed) => {
      const tasks = tracedTasks(seededRandom(seed), mix, askedShare * gpus)
      return placedOf(tasks, policy(nodes, seededRandom(seed + 100)))
    })
    placedBy.set(name, meanOf(shares))
  }
  const toBeat = placedBy.get('best fit')!
  printTable(
    `${nodes.length} nodes, ${gpus} GPUs, ${percent(askedShare)} of them asked for: ${title}`,
    [...placedBy].map(([name, placed]) => {
      const isOurs = name.startsWith('cloudless')
      return {
        figure: name,
        measured:
          `placed ${percent(placed.tasks)} of the tasks, ${percent(placed.cpu)} of the CPU, ` +
          `${percent(placed.gpus)} of the GPUs asked for; ` +
          `${percent(placed.gpus * askedShare)} of all GPUs in use`,
        wanted: isOurs ? 'GPUs: no less than best fit' : '(for scale)',
        isMet: !isOurs || placed.gpus >= toBeat.gpus,
      }
    }),
  )
}

/** Shares of what was asked for, 0 to 1. */
interface Placed {
  readonly tasks: number
  readonly cpu: number
  readonly gpus: number
}

function placedOf(tasks: readonly ReplicaKind[], place: Placer): Placed {
  const placed = tasks.filter(place)
  const share = (of: (task: ReplicaKind) => number): number => sumOf(placed, of) / sumOf(tasks, of)
  return {
    tasks: share(() => 1),
    cpu: share(({ requests }) => requests.cpuMillis),
    gpus: share(({ requests }) => requests.gpuCount),
  }
}

function meanOf(shares: readonly Placed[]): Placed {
  const mean = (of: (placed: Placed) => number): number => sumOf(shares, of) / shares.length
  return {
    tasks: mean(({ tasks }) => tasks),
    cpu: mean(({ cpu }) => cpu),
    gpus: mean(({ gpus }) => gpus),
  }
}

function sumOf<Item>(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((sum, item) => sum + of(item), 0)
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`
}
