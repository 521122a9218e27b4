/** Sizes in bytes as people write them: "512Mi", "2Gi", "100M", "1048576". Ki, Mi, Gi, Ti are powers of 1024. */

const bytesByUnit: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
}

/** Bytes, or undefined when the text is not a size. */
export function parseBytes(text: string): number | undefined {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)\s*([KMGT]i|[kKMGT]|)B?$/.exec(text) ?? []
  if (amount === undefined || unit === undefined) return undefined
  return Math.round(Number(amount) * bytesByUnit[unit]!)
}

/** Three significant digits and a power-of-1024 unit: "512Mi", "1.5Gi", "0". */
export function formatBytes(bytes: number): string {
  let value = bytes
  for (const unit of ['', 'Ki', 'Mi', 'Gi', 'Ti']) {
    if (Math.abs(value) < 1024 || unit === 'Ti') {
      return `${Number(value.toFixed(value < 10 && unit !== '' ? 1 : 0))}${unit}`
    }
    value /= 1024
  }
  return String(bytes)
}
