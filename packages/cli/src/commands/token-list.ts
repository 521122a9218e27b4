/** `token list`: join tokens, without the tokens themselves. */
import type { Command } from '../command.ts'
import { fetchAll } from '../paging.ts'
import { printList } from '../resources/resource.ts'
import { tokenResource } from '../resources/token.ts'

export const tokenList: Command = {
  description: 'Shows every join token with its uses and scope; never the secret itself.',
  examples: [{ title: 'With the nodes that used them', line: 'cloudlessctl token list -o wide' }],
  arguments: [],
  options: [],

  async run(context) {
    const { coordinator } = await context.connect()
    const tokens = await fetchAll(
      (page) => coordinator.listJoinTokens(page, { signal: context.signal }),
      (page) => page.joinTokens,
    )
    await printList(context, tokenResource, tokens)
    return 0
  },
}
