/**
 * Which verb the words of a command line mean. Pure.
 *
 * A verb is `GROUP VERB` ("node list", and "workload rollout status" in a group's group) or stands alone ("apply"). kubectl's order works too: `get nodes`,
 * `describe node X`, `logs X`, `delete workload X`. Options may stand before the verb, so their values are skipped.
 */
import {
  entries,
  entriesOf,
  groups,
  groupsIn,
  lastWordOf,
  topGroups,
  type Entry,
  type Group,
} from './catalog.ts'
import { globalOptions } from './global-options.ts'
import { didYouMean } from './suggest.ts'

export type Route =
  | {
      readonly kind: 'verb'
      readonly entry: Entry
      readonly words: readonly string[]
      /** The group's name was all there was: this is the verb it means. */
      readonly impliedBy?: Group
    }
  | { readonly kind: 'group'; readonly group: Group }
  | { readonly kind: 'root' }
  | { readonly kind: 'unknown'; readonly problem: string }

/** `words` of the result are everything but the verb: its arguments and all options. */
export function route(words: readonly string[]): Route {
  const positions = positionsOf(words)
  const [first, second, third] = positions
  if (first === undefined) return { kind: 'root' }
  const word = words[first]!
  const next = second === undefined ? undefined : words[second]

  const group = groupOf(word)
  if (group !== undefined) return routeIn(group, words, positions, 1)

  const kubectl = kubectlEntry(word, next, third !== undefined)
  if (kubectl !== undefined) {
    return verb(kubectl.entry, words, kubectl.takesNext ? [first, second!] : [first])
  }
  const alone = entries.find((e) => !e.name.includes(' ') && named(e, word))
  if (alone !== undefined) return verb(alone, words, [first])
  return {
    kind: 'unknown',
    problem: `there is no command "${word}".${didYouMean(word, firstWords())}`,
  }
}

/** The first `taken` positions name the group. */
function routeIn(
  group: Group,
  words: readonly string[],
  positions: readonly number[],
  taken: number,
): Route {
  const at = positions[taken]
  if (at === undefined) return groupAlone(group, words, positions.slice(0, taken))
  const next = words[at]!
  const inner = groupsIn(group).find((one) => lastWordOf(one) === next)
  if (inner !== undefined) return routeIn(inner, words, positions, taken + 1)
  const entry = entryOf(group, next)
  if (entry === undefined) return unknownVerb(group, next)
  return verb(entry, words, positions.slice(0, taken + 1))
}

function groupAlone(group: Group, words: readonly string[], taken: readonly number[]): Route {
  const asksForHelp = words.includes('--help') || words.includes('-h')
  if (group.byDefault === undefined || asksForHelp) return { kind: 'group', group }
  const entry = entryNamed(`${group.name} ${group.byDefault}`)
  return { ...verb(entry, words, taken), impliedBy: group }
}

function groupOf(word: string): Group | undefined {
  return groups.find((group) => group.name === word || group.aliases.includes(word))
}

/** The entry of a group whose verb, or an alias of it, is the word. */
function entryOf(group: Group, verbWord: string): Entry | undefined {
  return entriesOf(group).find((entry) => named(entry, verbWord))
}

function named(entry: Entry, word: string): boolean {
  return lastWordOf(entry) === word || (entry.aliases?.includes(word) ?? false)
}

/** Words that may come first, for suggestions and completion. */
export function firstWords(): string[] {
  return [
    ...topGroups().map((group) => group.name),
    ...entries.filter((e) => !e.hidden && !e.name.includes(' ')).map((entry) => entry.name),
    'get',
    'describe',
    'rollout',
    ...Object.keys(shortcuts),
  ]
}

/** Verbs that mean one kind of thing when they come first. */
const shortcuts: Readonly<Record<string, string>> = {
  logs: 'workload logs',
  exec: 'workload exec',
  scale: 'workload scale',
  autoscale: 'workload autoscale',
  restart: 'workload restart',
  drain: 'node drain',
  cordon: 'node cordon',
  uncordon: 'node uncordon',
  label: 'node label',
  taint: 'node taint',
  explain: 'workload explain',
}

/** Resources that kubectl's users would name where our groups have another word. */
const resourceVerbs: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  event: { get: 'events' },
  events: { get: 'events' },
  replica: { get: 'workload replicas' },
  replicas: { get: 'workload replicas' },
  pods: { get: 'workload replicas' },
}

function kubectlEntry(
  word: string,
  next: string | undefined,
  named: boolean,
): { entry: Entry; takesNext: boolean } | undefined {
  const shortcut = shortcuts[word]
  if (shortcut !== undefined) {
    const group = shortcut.split(' ')[0]!
    // `scale workload web` and `drain node x` as well as `scale web`.
    const takesNext = next !== undefined && named && groupOf(next)?.name === group
    return { entry: entryNamed(shortcut), takesNext }
  }
  if (next === undefined) return undefined
  const special = resourceVerbs[next]?.[word]
  if (special !== undefined) return { entry: entryNamed(special), takesNext: true }
  const group = groupOf(next)
  if (group === undefined || !['get', 'describe', 'delete', 'create'].includes(word))
    return undefined
  const verbWord = word === 'get' && !named ? 'list' : word
  const entry = entryOf(group, verbWord) ?? (word === 'get' ? entryOf(group, 'list') : undefined)
  return entry === undefined ? undefined : { entry, takesNext: true }
}

function entryNamed(name: string): Entry {
  return entries.find((entry) => entry.name === name)!
}

function unknownVerb(group: Group, word: string): Route {
  const verbs = [...entriesOf(group), ...groupsIn(group)].map(lastWordOf)
  const suggestion = didYouMean(word, verbs) || ` There are ${verbs.join(', ')}.`
  return { kind: 'unknown', problem: `"${group.name}" has no "${word}".${suggestion}` }
}

function verb(
  entry: Entry,
  words: readonly string[],
  taken: readonly number[],
): Extract<Route, { kind: 'verb' }> {
  return { kind: 'verb', entry, words: words.filter((_, index) => !taken.includes(index)) }
}

/** Those of lists, whose values would be taken for a name in `get nodes -z zone-a`. */
const listOptions = ['--labels', '-l', '--region', '-r', '--zone', '-z', '--node', '--by']

const valueOptions = new Set([
  ...listOptions,
  ...globalOptions
    .filter((option) => option.kind !== 'flag')
    .flatMap((o) => [`--${o.name}`, ...(o.short === undefined ? [] : [`-${o.short}`])]),
])

/** Positions of the words that are neither options nor values of global options, up to "--". */
function positionsOf(words: readonly string[]): number[] {
  const positions: number[] = []
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!
    if (word === '--') break
    if (valueOptions.has(word)) index++
    else if (!word.startsWith('-') || word === '-') positions.push(index)
  }
  return positions
}
