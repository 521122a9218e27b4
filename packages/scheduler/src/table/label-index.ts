/**
 * Who asks for which labels, and who has them, found without holding everybody against everybody: what asks for several
 * labels is kept under the first of them, what has several under each.
 */
import { hasLabels } from '../labels.ts'
import type { Labels } from '../model.ts'

/** Asks for nothing: everybody will do. */
const noLabel = ''

/** What asks for labels, found by those who have them. */
export class SelectorIndex<Thing> {
  readonly #byLabel = new Map<string, Map<Thing, Labels>>()

  add(wanted: Labels, thing: Thing): void {
    entriesAt(this.#byLabel, firstOf(wanted)).set(thing, wanted)
  }

  remove(wanted: Labels, thing: Thing): void {
    removeAt(this.#byLabel, firstOf(wanted), thing)
  }

  clear(): void {
    this.#byLabel.clear()
  }

  /** Everything that would be content with these labels. */
  contentWith(labels: Labels): readonly Thing[] {
    const found: Thing[] = []
    for (const label of [noLabel, ...keysOf(labels)]) {
      this.#byLabel.get(label)?.forEach((wanted, thing) => {
        if (hasLabels(labels, wanted)) found.push(thing)
      })
    }
    return found
  }
}

/** What has labels, found by those who ask for them. */
export class BearerIndex<Thing> {
  readonly #byLabel = new Map<string, Map<Thing, Labels>>()

  add(labels: Labels, thing: Thing): void {
    for (const label of [noLabel, ...keysOf(labels)])
      entriesAt(this.#byLabel, label).set(thing, labels)
  }

  remove(labels: Labels, thing: Thing): void {
    for (const label of [noLabel, ...keysOf(labels)]) removeAt(this.#byLabel, label, thing)
  }

  /** Everything that has all of them. */
  having(wanted: Labels): readonly Thing[] {
    const found: Thing[] = []
    this.#byLabel.get(firstOf(wanted))?.forEach((labels, thing) => {
      if (hasLabels(labels, wanted)) found.push(thing)
    })
    return found
  }
}

type ByLabel<Thing> = Map<string, Map<Thing, Labels>>

function entriesAt<Thing>(byLabel: ByLabel<Thing>, label: string): Map<Thing, Labels> {
  let entries = byLabel.get(label)
  if (entries === undefined) byLabel.set(label, (entries = new Map()))
  return entries
}

function removeAt<Thing>(byLabel: ByLabel<Thing>, label: string, thing: Thing): void {
  const entries = byLabel.get(label)
  entries?.delete(thing)
  if (entries?.size === 0) byLabel.delete(label)
}

function firstOf(wanted: Labels): string {
  return keysOf(wanted)[0] ?? noLabel
}

/** One text for each label and its value. */
function keysOf(labels: Labels): string[] {
  return Object.entries(labels).map((entry) => JSON.stringify(entry))
}
