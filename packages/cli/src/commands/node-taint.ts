/** `node taint`: keeps replicas away that do not tolerate it. */
import type { Command } from '../command.ts'
import { UsageError } from '../exit-code.ts'
import { nodeResource } from '../resources/node.ts'
import { printChanged } from '../resources/resource.ts'
import { didYouMean } from '../suggest.ts'

const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute']

export const nodeTaint: Command = {
  description:
    'Sets taints with KEY=VALUE:EFFECT (or KEY:EFFECT) and removes them with KEY-. NoSchedule keeps new replicas\n' +
    'away, PreferNoSchedule does when there is another node, NoExecute also moves off those that are there.',
  examples: [
    {
      title: 'Only for what asks for it',
      line: 'cloudlessctl node taint node-a gpu=yes:NoSchedule',
    },
    { title: 'For everything again', line: 'cloudlessctl node taint node-a gpu-' },
  ],
  arguments: [
    { name: 'NODE', help: 'Name or id', completes: 'node' },
    { name: 'TAINT', help: 'KEY=VALUE:EFFECT to set, KEY- to remove', variadic: true },
  ],
  options: [],

  async run(context, input) {
    const [nodeId, ...changes] = input.arguments
    const setTaints: { key: string; value: string; effect: string }[] = []
    const removeTaints: string[] = []
    for (const change of changes) {
      const [, key, value, effect] = /^([^=:]+)(?:=([^:]*))?:(\w+)$/.exec(change) ?? []
      if (key !== undefined && effect !== undefined) {
        if (!effects.includes(effect)) {
          const hint = didYouMean(effect, effects) || ` There are ${effects.join(', ')}.`
          throw new UsageError(`there is no effect "${effect}".${hint}`)
        }
        setTaints.push({ key, value: value ?? '', effect })
      } else if (/^[^=:]+-$/.test(change)) removeTaints.push(change.slice(0, -1))
      else throw new UsageError(`a taint is KEY=VALUE:EFFECT or KEY-, not "${change}"`)
    }
    const { coordinator } = await context.connect()
    const node = await coordinator.updateNode(
      { nodeId: nodeId!, setTaints, removeTaints },
      { signal: context.signal },
    )
    await printChanged(context, nodeResource, node, `node ${node.name} tainted`)
    return 0
  },
}
