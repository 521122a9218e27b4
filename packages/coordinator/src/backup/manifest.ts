/** What a backup says of itself, and the CA that is in it. */
import { CloudlessError } from '@cloudless/base'
import type { CaFiles } from '@cloudless/identity'

export interface BackupManifest {
  readonly clusterId: string
  readonly trustDomain: string
  /** Of Cloudless. */
  readonly version: string
  /** Unix milliseconds. */
  readonly createdAtMs: number
  /** Of the metadata. */
  readonly revision: number
  readonly ca: CaFiles
}

const texts = ['clusterId', 'trustDomain', 'version'] as const
const numbers = ['createdAtMs', 'revision'] as const
const caTexts = ['keyPem', 'certificatePem', 'tokenKey'] as const

/** `corrupt_data` when something is missing; what it does not know it leaves alone. */
export function parseManifest(json: string): BackupManifest {
  const value = objectOf(parsed(json))
  const ca = objectOf(value?.['ca'])
  const isWhole =
    texts.every((name) => typeof value?.[name] === 'string') &&
    numbers.every((name) => Number.isSafeInteger(value?.[name])) &&
    caTexts.every((name) => typeof ca?.[name] === 'string')
  if (isWhole) return value as unknown as BackupManifest
  throw new CloudlessError('corrupt_data', 'the manifest of this backup lacks something', {
    details: { reason: 'damaged' },
  })
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined // Said by the caller.
  }
}

function objectOf(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)
    : undefined
}
