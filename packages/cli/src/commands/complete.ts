/** `__complete`: what could follow the words typed so far, a line each. Asked by the shells' scripts. */
import { entriesOf, groupsIn, lastWordOf, topGroups } from '../catalog.ts'
import type { Command, CommandContext } from '../command.ts'
import type { Completion } from '../option.ts'
import { globalOptions } from '../global-options.ts'
import { optionsOf } from '../parse.ts'
import { firstWords, route } from '../route.ts'

/** Completion that makes a person wait is worse than none. */
const answerMsMax = 2_000

export const complete: Command = {
  description: 'Prints what could follow the words after --; the last word is the one being typed.',
  examples: [{ title: 'Verbs of node', line: 'cloudlessctl __complete -- node ""' }],
  arguments: [{ name: 'WORDS', help: 'The command line so far', optional: true, variadic: true }],
  options: [],

  async run(context, input) {
    const before = input.arguments.slice(0, -1)
    const typed = input.arguments.at(-1) ?? ''
    const candidates = await candidatesFor(context, before, typed)
    const fitting = [...new Set(candidates)].filter(
      (word) => word.startsWith(typed) || word === ':files',
    )
    context.io.out(fitting.map((word) => `${word}\n`).join(''))
    return 0
  },
}

async function candidatesFor(
  context: CommandContext,
  before: readonly string[],
  typed: string,
): Promise<readonly string[]> {
  const found = route(before)
  if (found.kind === 'unknown') {
    // `get` and `describe` need a kind of thing next.
    return topGroups().flatMap((group) => [group.name, ...group.aliases])
  }
  if (found.kind === 'root') return typed.startsWith('-') ? names(globalOptions) : firstWords()
  const group = found.kind === 'group' ? found.group : found.impliedBy
  if (group !== undefined && ![typed, before.at(-1)!].some((word) => word.startsWith('-'))) {
    return [...entriesOf(group), ...groupsIn(group)].map(lastWordOf)
  }
  if (found.kind === 'group') return []
  const command = await found.entry.load()
  const options = optionsOf(command)
  const last = before.at(-1)
  const option = options.find((o) => `--${o.name}` === last || (o.short && `-${o.short}` === last))
  if (option !== undefined && option.kind !== 'flag') {
    return option.choices ?? (await namesOf(context, option.completes, option.name))
  }
  if (typed.startsWith('-')) return names(options)
  const given = found.words.filter((word) => !word.startsWith('-')).length
  const argument = command.arguments[Math.min(given, command.arguments.length - 1)]
  return await namesOf(context, argument?.completes, '')
}

function names(options: readonly { name: string; hidden?: true }[]): string[] {
  return options.filter((option) => !option.hidden).map((option) => `--${option.name}`)
}

async function namesOf(
  context: CommandContext,
  completes: Completion | undefined,
  optionName: string,
): Promise<readonly string[]> {
  if (optionName === 'context' || completes === 'context') {
    if (context.settings.configPath === undefined) return []
    const { readConfigFile } = await import('../config/config-file.ts')
    return (await readConfigFile(context.settings.configPath)).contexts.map(({ name }) => name)
  }
  if (completes === 'shell') return ['bash', 'zsh', 'fish']
  if (completes === 'file' || optionName.endsWith('-file')) return [':files']
  if (completes === undefined || completes === 'container') return []
  const { coordinator } = await context.connect()
  const options = { signal: context.signal, timeoutMs: answerMsMax }
  switch (completes) {
    case 'node':
      return (await coordinator.listNodes({ limit: 1_000 }, options)).nodes.map((n) => n.name)
    case 'workload': {
      const { namespace } = context.settings
      const page = await coordinator.listWorkloads({ namespace, limit: 1_000 }, options)
      return page.workloads.map((workload) => workload.name)
    }
    case 'token':
      return (await coordinator.listJoinTokens({ limit: 1_000 }, options)).joinTokens.map(
        (t) => t.id,
      )
  }
}
