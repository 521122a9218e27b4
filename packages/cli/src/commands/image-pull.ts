/** `image pull`: brings an image to a node before it is needed. */
import { CloudlessError, formatBytes } from '@cloudless/base'
import type { Command } from '../command.ts'
import { Progress } from '../wait/progress.ts'
import { nodeOption, requiredNode } from './node-option.ts'

export const imagePull: Command = {
  description: 'Pulls an image to one node, showing how far it is.',
  examples: [{ title: 'To a node', line: 'cloudlessctl image pull nginx:1.25 --node node-a' }],
  arguments: [{ name: 'IMAGE', help: 'Such as nginx:1.25' }],
  options: [nodeOption],

  async run(context, { arguments: [image], options }) {
    const nodeId = requiredNode(options)
    const { agent } = await context.connect()
    const progress = new Progress(context.io)
    const { signal } = context
    const stream = agent.pullImage({ image: image!, nodeId }, { signal, timeoutMs: 0 })
    for await (const { phase, bytesDone, bytesTotal, done, digest } of stream) {
      if (done) {
        context.io.out(`image ${image} is on ${nodeId}: ${digest}\n`)
        return 0
      }
      const share = context.io.errorIsTerminal && bytesTotal > 0n
      const amount = share
        ? ` ${formatBytes(Number(bytesDone))} of ${formatBytes(Number(bytesTotal))}`
        : ''
      progress.show('pull', [`${phase}${amount}`])
    }
    throw new CloudlessError(
      'unavailable',
      `pulling ${image} to ${nodeId} ended half-way. Try again.`,
    )
  },
}
