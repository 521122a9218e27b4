/** Which namespace a command works in. */
import type { CommandContext, CommandInput } from '../command.ts'

/** "" with --all-namespaces, which the API takes for all. */
export function namespaceForList(context: CommandContext, input: CommandInput): string {
  return input.options.flag('all-namespaces') ? '' : context.settings.namespace
}
