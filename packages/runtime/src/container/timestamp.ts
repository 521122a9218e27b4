import type { Timestamp } from '@bufbuild/protobuf/wkt'

/** Unix milliseconds; 0 when not set, or set to Go's zero time. */
export function unixMsOf(timestamp: Timestamp | undefined): number {
  if (timestamp === undefined) return 0
  return Math.max(0, Number(timestamp.seconds) * 1000 + Math.floor(timestamp.nanos / 1e6))
}
