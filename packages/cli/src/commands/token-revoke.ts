/** `token revoke`: a token that got about, or is no longer wanted. */
import type { Command } from '../command.ts'

export const tokenRevoke: Command = {
  description: 'Makes join tokens useless from now on. Nodes that joined with them stay members.',
  examples: [{ title: 'By its id', line: 'cloudlessctl token revoke jt-abcdefgh2345' }],
  arguments: [{ name: 'TOKEN', help: 'Id of the token', variadic: true, completes: 'token' }],
  options: [],

  async run(context, input) {
    const { coordinator } = await context.connect()
    for (const tokenId of input.arguments) {
      await coordinator.revokeJoinToken({ tokenId }, { signal: context.signal })
      context.io.out(`token ${tokenId} revoked\n`)
    }
    return 0
  },
}
