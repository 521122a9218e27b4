/** `container run`: a container by hand, outside any workload. */
import { parseBytes, randomId } from '@cloudless/base'
import type { Command } from '../command.ts'
import { UsageError } from '../exit-code.ts'
import { parseCpu } from '../quantities.ts'
import { nodeOption, requiredNode } from './node-option.ts'

export const containerRun: Command = {
  description:
    'Runs one container on one node. Nothing replaces it when the node is lost: for that, create a workload.',
  examples: [
    {
      title: 'For a look around',
      line: 'cloudlessctl container run try --node node-a --image busybox -- sleep 1h',
    },
  ],
  arguments: [
    { name: 'NAME', help: 'Name of the container, unique on the node' },
    { name: 'COMMAND', help: "Replaces the image's command", optional: true, variadic: true },
  ],
  options: [
    nodeOption,
    { name: 'image', kind: 'text', value: 'IMAGE', help: 'Image to run; required' },
    { name: 'env', short: 'e', kind: 'pairs', help: 'Environment variable; may be repeated' },
    { name: 'cpu', kind: 'text', value: 'CPU', help: 'CPU limit, as 250m or 0.5' },
    { name: 'memory', kind: 'text', value: 'SIZE', help: 'Memory limit, as 64Mi' },
  ],

  async run(context, { arguments: [name, ...command], options }) {
    const nodeId = requiredNode(options)
    const image = options.text('image')
    if (image === undefined) throw new UsageError('name the image with --image')
    const memoryBytes = parseBytes(options.text('memory') ?? '0')
    if (memoryBytes === undefined) throw new UsageError('--memory must be a size such as 64Mi')
    const cpuMillicores = parseCpu('cpu', options.text('cpu'))
    const { agent } = await context.connect()
    const limits = { cpuMillicores, memoryBytes: BigInt(memoryBytes) }
    const { containerId } = await agent.runContainer(
      {
        nodeId,
        name: name!,
        idempotencyKey: randomId(context.random, 24),
        spec: {
          image,
          command,
          env: { ...options.pairs('env') },
          replicas: 1,
          resources: { limits },
        },
      },
      { signal: context.signal },
    )
    context.io.out(
      context.settings.output === 'name'
        ? `container/${containerId}\n`
        : `container ${containerId} runs on ${nodeId}\n`,
    )
    return 0
  },
}
