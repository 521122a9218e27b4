/**
 * Nothing secret leaves in a log line or an event: fields that are named like secrets are masked whatever they hold, and
 * text that looks like a token or a private key is masked wherever it stands. Bounded: depth, items and length are cut.
 */
import { CloudlessError } from '@cloudless/base'

const mask = '[redacted]'
const depthMax = 6
const itemsMax = 100
const textLengthMax = 8_192

/** Compared without case, "-" and "_". Names that only end so count too: "joinToken", "registry_password". */
const secretNames = [
  'token',
  'password',
  'passphrase',
  'secret',
  'secrets',
  'privatekey',
  'authorization',
  'cookie',
  'credential',
  'credentials',
  'apikey',
  'accesskey',
  'secretkey',
  'encryptionkey',
  'signingkey',
]

const secretTexts: readonly RegExp[] = [
  // A private key in PEM, also one that was cut short.
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
  // A JSON Web Token: join tokens, access tokens.
  /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g,
  /\b(?:Bearer|Basic)\s+[\w.~+/=-]{8,}/gi,
  // The user's part of a URL.
  /(?<=\b[a-z][a-z0-9+.-]*:\/\/)[^\s/:@]+:[^\s/@]+(?=@)/gi,
]

export function redactText(text: string): string {
  const cut =
    text.length > textLengthMax
      ? `${text.slice(0, textLengthMax)}... (${text.length} in all)`
      : text
  return secretTexts.reduce((shown, pattern) => shown.replace(pattern, mask), cut)
}

export function isSecretName(name: string): boolean {
  const plain = name.replaceAll(/[-_.]/g, '').toLowerCase()
  return secretNames.some((secret) => plain.endsWith(secret))
}

/** A copy that is safe to write, of plain data; errors become objects, bytes their length. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return `[${value.byteLength} bytes]`
  if (value instanceof Date) return value.toISOString()
  if (depth >= depthMax) return '[...]'
  if (value instanceof Error) return redactError(value, depth)
  if (Array.isArray(value)) return redactItems(value, depth)
  if (value instanceof Map) return redactFields([...value], depth)
  if (value instanceof Set) return redactItems([...value], depth)
  return redactFields(Object.entries(value), depth)
}

export function redactRecord(fields: object): Record<string, unknown> {
  return redactFields(Object.entries(fields), 0)
}

function redactItems(items: readonly unknown[], depth: number): unknown[] {
  const shown = items.slice(0, itemsMax).map((item) => redact(item, depth + 1))
  return items.length > itemsMax ? [...shown, `... (${items.length} in all)`] : shown
}

function redactFields(
  entries: readonly (readonly [unknown, unknown])[],
  depth: number,
): Record<string, unknown> {
  const shown = entries.slice(0, itemsMax).map(([key, value]) => {
    const name = String(key)
    const present = value !== undefined && value !== null && value !== ''
    const secret = present && typeof value !== 'boolean' && isSecretName(name)
    return [name, secret ? mask : redact(value, depth + 1)] as const
  })
  return Object.fromEntries(shown)
}

/** The stack only where it helps: our own errors say what to do, and where they come from is not the reader's affair. */
function redactError(error: Error, depth: number): Record<string, unknown> {
  const known = error instanceof CloudlessError
  const code = 'code' in error ? { code: redact(error.code, depth + 1) } : {}
  const details = known ? { details: redact(error.details, depth + 1) } : {}
  const stack = known && error.code !== 'internal' ? {} : { stack: redactText(error.stack ?? '') }
  const cause = error.cause === undefined ? {} : { cause: redact(error.cause, depth + 1) }
  return {
    name: error.name,
    message: redactText(error.message),
    ...code,
    ...details,
    ...stack,
    ...cause,
  }
}
