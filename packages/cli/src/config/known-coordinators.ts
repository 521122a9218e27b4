/**
 * What clusters have told of their coordinators, in a file beside the configuration: one that was set up with a single
 * address finds the others when that one is away. They prove who they are as ever, so a list that is wrong harms nobody.
 */
import { readFileSync } from 'node:fs'
import { writeDurablySync } from '@cloudless/base'

/** By the context's name, "" for a configuration without contexts. */
type Known = Readonly<Record<string, readonly string[]>>

export interface KnownPlace {
  readonly configPath: string
  readonly contextName: string | undefined
}

/** "host:port" of each; none when nothing is known. */
export function knownCoordinators({ configPath, contextName = '' }: KnownPlace): readonly string[] {
  const addresses: unknown = readAll(configPath)[contextName]
  if (!Array.isArray(addresses)) return []
  return addresses.filter((address) => typeof address === 'string')
}

/** Does nothing when they are known already. Where the directory cannot be written to, they stay unknown. */
export function rememberCoordinators(place: KnownPlace, told: readonly string[]): void {
  const addresses = told.toSorted()
  if (addresses.join() === knownCoordinators(place).join()) return
  const all: Known = { ...readAll(place.configPath), [place.contextName ?? '']: addresses }
  try {
    writeDurablySync(fileOf(place.configPath), `${JSON.stringify(all, undefined, 2)}\n`)
  } catch {
    // It is a convenience.
  }
}

function fileOf(configPath: string): string {
  return `${configPath.replace(/\.ya?ml$/, '')}.coordinators.json`
}

function readAll(configPath: string): Known {
  try {
    const all: unknown = JSON.parse(readFileSync(fileOf(configPath), 'utf8'))
    return typeof all === 'object' && all !== null ? (all as Known) : {}
  } catch {
    return {} // Not there yet, or not ours.
  }
}
