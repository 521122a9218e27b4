/** What images are made for and what this machine is, in the images' words: "linux/arm64", "linux/arm/v7". */
import { CloudlessError } from '@cloudless/base'

export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string
}

/** Whatever may be made for a platform: an entry of an index. */
interface ForPlatform {
  readonly platform?: Platform
}

/** The machine's own platform. */
export function hostPlatform(architecture: string = process.arch): Platform {
  const byNode: Readonly<Record<string, Platform>> = {
    x64: { os: 'linux', architecture: 'amd64' },
    arm64: { os: 'linux', architecture: 'arm64', variant: 'v8' },
    arm: { os: 'linux', architecture: 'arm', variant: 'v7' },
    ia32: { os: 'linux', architecture: '386' },
  }
  return byNode[architecture] ?? { os: 'linux', architecture }
}

/** The entry of an index that runs here; one without a variant is taken after one with the same. */
export function selectPlatform<Entry extends ForPlatform>(
  entries: readonly Entry[],
  platform: Platform,
): Entry | undefined {
  const fitting = entries.filter(
    (entry) => entry.platform !== undefined && isSameKind(entry.platform, platform),
  )
  return (
    fitting.find((entry) => entry.platform?.variant === platform.variant) ??
    fitting.find((entry) => entry.platform?.variant === undefined) ??
    // Every 64-bit ARM machine runs v8; a 32-bit one runs what is older than itself.
    fitting.find((entry) => (entry.platform?.variant ?? '') <= (platform.variant ?? ''))
  )
}

/** Whether they are of one operating system and architecture; the variant is not looked at. */
export function isSameKind(one: Platform, other: Platform): boolean {
  return one.os === other.os && one.architecture === other.architecture
}

/** "linux/arm/v7". Every 64-bit ARM machine is v8, so that one is not said. */
export function formatPlatform({ os, architecture, variant = '' }: Platform): string {
  const isUsual = variant === '' || (architecture === 'arm64' && variant === 'v8')
  return `${os}/${architecture}${isUsual ? '' : `/${variant}`}`
}

/** What an index offers, sorted, each once. Attestations are entries for "unknown" and run nowhere. */
export function platformsOf(entries: readonly ForPlatform[]): readonly string[] {
  const names = entries.flatMap(({ platform }) =>
    platform === undefined || !isKnown(platform) ? [] : [formatPlatform(platform)],
  )
  return [...new Set(names)].toSorted()
}

function isKnown({ os, architecture }: Platform): boolean {
  return [os, architecture].every((part) => part !== '' && part !== 'unknown')
}

/** `offered` is what there is instead. */
export function noPlatform(what: string, offered: readonly string[]): CloudlessError {
  const { os, architecture } = hostPlatform()
  const instead = offered.length > 0 ? ` It is made for ${offered.join(', ')}.` : ''
  return new CloudlessError(
    'failed_precondition',
    `${what} has no image for ${os}/${architecture}, which this node is.${instead} ` +
      'Build it for this platform or select other nodes.',
  )
}
