/** Help text, made from the same data that parses the command line. */
import {
  entries,
  entriesOf,
  groupsIn,
  lastWordOf,
  topGroups,
  type Entry,
  type Group,
} from './catalog.ts'
import type { Command } from './command.ts'
import type { Option } from './option.ts'
import { exitCodeMeanings } from './exit-code.ts'
import { globalOptions } from './global-options.ts'
import { formatColumns } from './output/table.ts'
import { optionsOf, shapeOf, valueNameOf } from './parse.ts'

/** Of `cloudlessctl` alone. */
export function rootHelp(): string {
  const alone = entries.filter((entry) => !entry.hidden && !entry.name.includes(' '))
  return [
    'cloudlessctl drives a Cloudless cluster: the devices that joined it and what runs on them.\n',
    'Usage: cloudlessctl GROUP VERB [NAME] [OPTIONS]\n',
    section(
      'Groups',
      topGroups().map((group) => [group.name, group.summary]),
    ),
    section(
      'Commands',
      alone.map((entry) => [entry.name, entry.summary]),
    ),
    'As in kubectl: get nodes, get workloads, describe node NAME, logs NAME, exec NAME -- CMD,\n' +
      'scale NAME --replicas N, delete workload NAME.\n',
    section('Options of every command', globalOptions.map(optionRow)),
    section(
      'Exit codes',
      exitCodeMeanings.map(([code, meaning]) => [String(code), meaning]),
    ),
    'Start with: cloudlessctl node list\n' +
      'More: cloudlessctl GROUP --help, cloudlessctl GROUP VERB --help\n',
  ].join('\n')
}

/** Of one group: its verbs. */
export function groupHelp(group: Group): string {
  const verbs = [...entriesOf(group), ...groupsIn(group)]
  const others = group.aliases.length === 0 ? '' : ` (also: ${group.aliases.join(', ')})`
  return [
    `${group.summary}${others}\n`,
    `Usage: cloudlessctl ${group.name} ${group.byDefault ? '[VERB]' : 'VERB'} [OPTIONS]\n`,
    section(
      'Verbs',
      verbs.map((entry) => [lastWordOf(entry), entry.summary]),
    ),
    ...(group.byDefault === undefined
      ? []
      : [`Without a verb: cloudlessctl ${group.name} ${group.byDefault}\n`]),
    `More: cloudlessctl ${group.name} VERB --help\n`,
  ].join('\n')
}

/** Of one verb. */
export function commandHelp(entry: Entry, command: Command): string {
  const own = command.options.filter((option) => !option.hidden)
  return [
    `${entry.summary}\n`,
    `Usage: ${usageOf(entry, command)}\n`,
    `${command.description}\n`,
    ...(command.arguments.length === 0
      ? []
      : [
          section(
            'Arguments',
            command.arguments.map((argument) => [argument.name, argument.help]),
          ),
        ]),
    ...(own.length === 0 ? [] : [section('Options', own.map(optionRow))]),
    `Examples:\n${command.examples.map(({ title, line }) => `  # ${title}\n  ${line}\n`).join('')}`,
    section('Options of every command', inheritedOptions(command).map(optionRow)),
    `Exit codes: ${exitCodesInBrief()}\n`,
  ].join('\n')
}

function exitCodesInBrief(): string {
  return exitCodeMeanings.map(([code, meaning]) => `${code} ${meaning.split(':')[0]}`).join(', ')
}

export function usageOf(entry: Entry, command: Command): string {
  const shapes = command.arguments.map(shapeOf).map((shape) => shape.replace(/^<(.*)>$/, '$1'))
  const isPassedOn = (shape: string): boolean => shape.startsWith('[COMMAND')
  const own = shapes.filter((shape) => !isPassedOn(shape))
  const passedOn = shapes.filter(isPassedOn).map((shape) => `-- ${shape}`)
  return ['cloudlessctl', entry.name, ...own, '[OPTIONS]', ...passedOn].join(' ')
}

function inheritedOptions(command: Command): readonly Option[] {
  return optionsOf(command).filter((option) => globalOptions.includes(option))
}

/** "-o, --output FORMAT" and what it does, its choices and its default. */
export function optionRow(option: Option): readonly [string, string] {
  const short = option.short === undefined ? '    ' : `-${option.short}, `
  const value = valueNameOf(option)
  const choices = option.choices === undefined ? '' : `: ${option.choices.join(', ')}`
  const byDefault = option.default === undefined ? '' : ` (default ${option.default})`
  return [
    `${short}--${option.name}${value === undefined ? '' : ` ${value}`}`,
    `${option.help}${choices}${byDefault}`,
  ]
}

function section(title: string, rows: readonly (readonly [string, string])[]): string {
  return `${title}:\n${formatColumns(rows.map(([left, right]) => [` ${left}`, right]))}`
}
