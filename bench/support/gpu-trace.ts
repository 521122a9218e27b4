/**
 * A cluster and its tasks in the shape of Alibaba's public GPU trace of 2023 (cluster-trace-gpu-v2023 in
 * github.com/alibaba/clusterdata, described in "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with
 * Fragmentation Gradient Descent", USENIX ATC 2023): 1,523 nodes, 1,213 of them with 6,212 GPUs.
 *
 * Drawn from summary numbers, not from the trace itself, and not checked against it one by one:
 *   - nodes: the GPUs of each model are the published ones (G2 4,392, T4 842, G3 312, P100 265, V100M32 204, V100M16
 *     195, A10 2), in the kinds of machines that its node list has; 310 machines have none;
 *   - tasks by GPUs: about as the paper has them, 13.3 % none, 37.8 % a part of one, 48.0 % one, 0.2 % two, 0.2 % four, 0.5 %
 *     eight; we give out whole GPUs only, so a part of one takes one;
 *   - CPU and memory: the most common sizes in its list of tasks, by about how common they are;
 *   - 33 % of the tasks with GPUs name their models, as in its list with that share (gpuspec33).
 */
import type { Random } from '@cloudless/base'
import { noResources, type NodeView, type ReplicaKind } from '@cloudless/scheduler'
import { benchKind, benchNode } from './scheduler-views.ts'

const mebibyte = 2 ** 20

/** How many, cores, GiB of memory, GPUs, model. */
const machines: readonly [number, number, number, number, string][] = [
  [549, 96, 384, 8, 'G2'],
  [385, 104, 512, 2, 'T4'],
  [18, 96, 384, 4, 'T4'],
  [39, 128, 768, 8, 'G3'],
  [24, 96, 768, 8, 'V100M32'],
  [3, 48, 368, 4, 'V100M32'],
  [19, 8, 32, 1, 'V100M16'],
  [36, 32, 128, 4, 'V100M16'],
  [4, 64, 256, 8, 'V100M16'],
  [130, 16, 120, 2, 'P100'],
  [5, 8, 60, 1, 'P100'],
  [1, 128, 768, 2, 'A10'],
  [110, 32, 128, 0, ''],
  [70, 64, 256, 0, ''],
  [60, 96, 512, 0, ''],
  [70, 104, 512, 0, ''],
]

/** Thousandths of a core and MiB, by weight. */
type Size = readonly [weight: number, cpuMillis: number, memoryMib: number]

const withoutGpu: readonly Size[] = [
  [40, 8_000, 30_517],
  [35, 32_000, 49_152],
  [15, 12_500, 57_344],
  [5, 16_000, 31_250],
  [5, 20_000, 65_536],
]
const withPart: readonly Size[] = [
  [35, 3_152, 5_600],
  [20, 8_000, 30_517],
  [20, 11_908, 47_104],
  [15, 4_000, 15_258],
  [10, 6_000, 12_288],
]
const withOne: readonly Size[] = [
  [20, 3_152, 5_600],
  [20, 11_400, 48_128],
  [15, 18_708, 64_512],
  [15, 12_000, 16_384],
  [10, 16_000, 32_768],
  [10, 9_810, 41_560],
  [5, 8_000, 16_384],
  [5, 15_200, 80_896],
]
const withTwo: readonly Size[] = [[1, 16_200, 66_560]]
const withFour: readonly Size[] = [[1, 32_200, 132_096]]
const withEight: readonly Size[] = [
  [2, 64_000, 262_144],
  [1, 88_000, 327_680],
]

/** Tasks by GPUs: weight, GPUs, sizes. */
type Mix = readonly (readonly [weight: number, gpuCount: number, sizes: readonly Size[]])[]

export const asTraced: Mix = [
  [13.3, 0, withoutGpu],
  [37.8, 1, withPart],
  [48, 1, withOne],
  [0.2, 2, withTwo],
  [0.2, 4, withFour],
  [0.5, 8, withEight],
]
/** Not of the trace: half of the GPUs are asked for by tasks that want several, as where models are trained. */
export const halfInSeveral: Mix = [
  [13.3, 0, withoutGpu],
  [30, 1, withPart],
  [38, 1, withOne],
  [8, 2, withTwo],
  [5, 4, withFour],
  [4, 8, withEight],
]

const modelsNamed: readonly (readonly [weight: number, models: readonly string[]])[] = [
  [67, []],
  [16, ['T4']],
  [8, ['P100']],
  [4, ['V100M16', 'V100M32']],
  [3, ['G2']],
  [2, ['G3']],
]

/** In an order by chance, for those to whom the order matters. */
export function tracedNodes(random: Random): readonly NodeView[] {
  const nodes = machines.flatMap(([count, cores, memoryGib, gpuCount, model]) =>
    Array.from({ length: count }, (_, n) =>
      benchNode(`${model === '' ? 'cpu' : model}-${cores}-${gpuCount}-${n}`, {
        allocatable: {
          ...noResources,
          cpuMillis: cores * 1_000,
          memoryBytes: memoryGib * 1_024 * mebibyte,
          gpuCount,
        },
        gpuModels: model === '' ? [] : [model],
      }),
    ),
  )
  return nodes
    .map((node) => ({ node, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ node }) => node)
}

/** Tasks as they come, until they ask for so many GPUs. Those that are alike are of one kind. */
export function tracedTasks(random: Random, mix: Mix, gpusAsked: number): readonly ReplicaKind[] {
  const kinds = new Map<string, ReplicaKind>()
  const tasks: ReplicaKind[] = []
  for (let gpus = 0; gpus < gpusAsked;) {
    const [, gpuCount, sizes] = drawn(random, mix)
    const [, cpuMillis, memoryMib] = drawn(random, sizes)
    const [, gpuModels] = gpuCount === 0 ? [0, []] : drawn(random, modelsNamed)
    const key = JSON.stringify([gpuCount, cpuMillis, memoryMib, gpuModels])
    let kind = kinds.get(key)
    if (kind === undefined) {
      const requests = { ...noResources, cpuMillis, memoryBytes: memoryMib * mebibyte, gpuCount }
      kind = benchKind(`task-${kinds.size}`, { requests, gpuModels })
      kinds.set(key, kind)
    }
    tasks.push(kind)
    gpus += gpuCount
  }
  return tasks
}

function drawn<Choice extends readonly [weight: number, ...rest: unknown[]]>(
  random: Random,
  choices: readonly Choice[],
): Choice {
  let left = random.next() * choices.reduce((sum, [weight]) => sum + weight, 0)
  return choices.find(([weight]) => (left -= weight) < 0) ?? choices.at(-1)!
}
