/** Who makes a call and how it hangs together with others; made by the server for each. */
import type { MemberIdentity } from '@cloudless/identity'

export interface Call {
  /** Undefined for the one call made with a join token instead of a certificate. */
  readonly peer: MemberIdentity | undefined
  readonly signal: AbortSignal
  /** The connection's certificate was renewed: it may be used until then, unix milliseconds. */
  readonly extendConnection: (notAfterMs: number, serial: string) => void
}
