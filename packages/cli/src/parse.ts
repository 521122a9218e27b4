/** From the words after a verb to its arguments and options. Commander parses; the rules are the command's data. */
import { Command as Parser, CommanderError, Option as ParserOption } from 'commander'
import type { Argument, Command, CommandInput } from './command.ts'
import type { Completion, Option } from './option.ts'
import { UsageError } from './exit-code.ts'
import { globalOptions } from './global-options.ts'
import { Options } from './options.ts'
import { didYouMean } from './suggest.ts'

/** Throws UsageError with one sentence saying what is wrong. */
export function parseInput(command: Command, words: readonly string[]): CommandInput {
  const declared = optionsOf(command)
  const parser = new Parser()
  parser.exitOverride().helpOption(false).showSuggestionAfterError(false)
  parser.configureOutput({ writeOut() {}, writeErr() {} })
  for (const option of declared) addOption(parser, option)
  for (const argument of command.arguments) parser.argument(shapeOf(argument), argument.help)

  try {
    parser.parse(booleansAsFlags(words, declared), { from: 'user' })
  } catch (reason) {
    if (reason instanceof CommanderError) throw new UsageError(explain(reason, declared))
    throw reason
  }
  const values = parser.opts<Record<string, string | boolean | string[] | undefined>>()
  const read = new Map(
    declared.map((option) => [option.name, values[attributeOf(option.name)]] as const),
  )
  const given = parser.args.map((word, index) =>
    withoutKind(command.arguments[Math.min(index, command.arguments.length - 1)], word),
  )
  return { arguments: given, options: new Options(declared, read) }
}

/** "workload/web", as -o name prints it, means "web" where a name is expected. */
function withoutKind(argument: Argument | undefined, word: string): string {
  const { completes } = argument ?? {}
  if (completes === undefined || !namedKinds.includes(completes)) return word
  return word.replace(/^(node|workload|replica|token|container)\//, '')
}

const namedKinds: readonly Completion[] = ['node', 'workload', 'token', 'container']

/** Its own options first; they hide a global one of the same name. */
export function optionsOf(command: Pick<Command, 'options'>): readonly Option[] {
  const own = new Set(command.options.map((option) => option.name))
  return [...command.options, ...globalOptions.filter((option) => !own.has(option.name))]
}

export function shapeOf(argument: Argument): string {
  const name = argument.variadic ? `${argument.name}...` : argument.name
  return argument.optional ? `[${name}]` : `<${name}>`
}

/** How the value of an option is called in usage; undefined for a flag. */
export function valueNameOf(option: Option): string | undefined {
  const byKind = {
    flag: undefined,
    text: 'TEXT',
    list: 'TEXT',
    pairs: 'KEY=VALUE',
    integer: 'N',
    duration: 'DURATION',
  } as const
  return option.value ?? byKind[option.kind]
}

function addOption(parser: Parser, option: Option): void {
  const short = option.short === undefined ? '' : `-${option.short}, `
  const valueName = valueNameOf(option)
  const value = valueName === undefined ? '' : ` <${valueName}>`
  // The attribute is set by hand: commander would take "no-headers" for the negation of "headers".
  const made = new ParserOption(`${short}--${option.name}${value}`, option.help)
  made.negate = false
  made.attributeName = () => attributeOf(option.name)
  if (option.kind === 'list' || option.kind === 'pairs') {
    made.argParser((next: string, all: string[] | undefined) => [...(all ?? []), next])
  }
  parser.addOption(made)
  if (option.kind === 'flag' && option.default === 'true') {
    const negated = new ParserOption(`--no-${option.name}`).hideHelp()
    negated.attributeName = () => attributeOf(option.name)
    parser.addOption(negated)
  }
}

function attributeOf(name: string): string {
  return `option_${name}`
}

/** "--graceful=false" -> "--no-graceful", "--graceful=true" -> "--graceful"; other words stay. */
function booleansAsFlags(words: readonly string[], declared: readonly Option[]): string[] {
  const flags = new Map(declared.filter((o) => o.kind === 'flag').map((o) => [o.name, o]))
  const result: string[] = []
  for (const [index, word] of words.entries()) {
    if (word === '--') return [...result, ...words.slice(index)]
    const [, name, value] = /^--([a-z-]+)=(.*)$/s.exec(word) ?? []
    const flag = name === undefined ? undefined : flags.get(name)
    if (flag === undefined) result.push(word)
    else if (value === 'true') result.push(`--${flag.name}`)
    else if (value !== 'false')
      throw new UsageError(`--${flag.name} is true or false, not "${value}"`)
    else if (flag.default === 'true') result.push(`--no-${flag.name}`)
  }
  return result
}

function explain(error: CommanderError, declared: readonly Option[]): string {
  const text = error.message.replace(/^error: /, '')
  switch (error.code) {
    case 'commander.unknownOption': {
      const word = /'([^']*)'/.exec(text)?.[1] ?? ''
      const known = declared.filter((option) => !option.hidden).map((option) => `--${option.name}`)
      return `there is no option ${word.split('=')[0]}.${didYouMean(word.split('=')[0]!, known)}`
    }
    case 'commander.missingArgument':
      return `${/'([^']*)'/.exec(text)?.[1] ?? 'an argument'} is missing.`
    case 'commander.excessArguments':
      return 'there are more arguments than the command takes.'
    case 'commander.optionMissingArgument':
      return `${/--[a-z-]+/.exec(text)?.[0] ?? 'an option'} needs a value.`
    default:
      return `${text}.`
  }
}
