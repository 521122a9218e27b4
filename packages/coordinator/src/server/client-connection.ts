/**
 * One TLS connection of a client: who is at the other end, and how long that holds.
 *
 * The handshake proves who they are once; whether they still may is asked at each call, because certificates run out,
 * are revoked, and nodes are removed while their connections stay open.
 */
import type { PeerIdentity } from '@cloudless/identity'
import type { CloudlessError } from '@cloudless/base'

export interface MembershipChecks {
  /** True for a node whose membership was ended: it is told so, and stops its containers. */
  readonly isRemoved?: (nodeId: string) => boolean
  /** True for a node of which there is no record at all: refused, but its containers go on. */
  readonly isUnknown?: (nodeId: string) => boolean
  /** True for a certificate that was withdrawn before its time. */
  readonly isCertificateRevoked?: (serial: string) => boolean
}

/** What is used of a socket: of a call that another coordinator sends on, it is the call itself. */
export interface ClientSocket {
  readonly remoteAddress?: string | undefined
  destroy(): void
  once(event: 'close', act: () => void): void
}

export class ClientConnection {
  /** Counts the connections of this process. */
  readonly id: number
  readonly remoteAddress: string
  readonly #socket: ClientSocket
  readonly #checks: MembershipChecks
  #peer: PeerIdentity
  #over: CloudlessError | undefined
  /** Running calls, each with what ends it. */
  readonly #calls = new Map<AbortController, CallOnConnection>()

  constructor(
    id: number,
    socket: ClientSocket,
    given: { readonly peer: PeerIdentity; readonly checks: MembershipChecks },
  ) {
    this.id = id
    this.#socket = socket
    this.remoteAddress = socket.remoteAddress ?? 'unknown'
    this.#peer = given.peer
    this.#checks = given.checks
  }

  /** Who they are now, by the wall clock. */
  peerAt(nowMs: number): PeerIdentity {
    const peer = this.#peer
    if (peer.kind !== 'member') return peer
    if (peer.type === 'node' && this.#checks.isRemoved?.(peer.id)) {
      const reason = `the node "${peer.id}" was removed from the cluster`
      return { kind: 'foreign', problem: 'removed', reason }
    }
    if (peer.type === 'node' && this.#checks.isUnknown?.(peer.id)) {
      const reason =
        `this coordinator has no record of the node "${peer.id}"; ` +
        'if its data was lost, restore it, or join the node again'
      return { kind: 'foreign', reason }
    }
    if (this.#checks.isCertificateRevoked?.(peer.serial)) {
      const reason = `the certificate of ${peer.type} "${peer.id}" was revoked`
      return { kind: 'foreign', problem: 'revoked', reason }
    }
    const expired = nowMs >= peer.notAfterMs
    return expired === peer.expired ? peer : { ...peer, expired }
  }

  /** The node's id, when a node is at the other end. */
  get nodeId(): string | undefined {
    return this.#peer.kind === 'member' && this.#peer.type === 'node' ? this.#peer.id : undefined
  }

  /** The peer has a newer certificate: the connection stands as long as that one. */
  extendExpiry(notAfterMs: number, serial?: string): void {
    if (this.#peer.kind !== 'member') return
    this.#peer = { ...this.#peer, notAfterMs, ...(serial === undefined ? {} : { serial }) }
  }

  /** Registers a running call; call the result when it has ended. */
  addCall(controller: AbortController, call: CallOnConnection): () => void {
    this.#calls.set(controller, call)
    if (this.#over !== undefined) controller.abort(this.#over)
    return () => this.#calls.delete(controller)
  }

  /** Ends the calls for which `refusal` gives a reason; they answer with it. */
  endCalls(refusal: (call: CallOnConnection) => CloudlessError | undefined): void {
    for (const [controller, call] of this.#calls) {
      const reason = refusal(call)
      if (reason !== undefined) controller.abort(reason)
    }
  }

  /** Ends every call, and those that come later too. */
  refuseCalls(reason: CloudlessError): void {
    this.#over = reason
    this.endCalls(() => reason)
  }

  get callCount(): number {
    return this.#calls.size
  }

  /** Cuts the connection at once. */
  destroy(): void {
    this.#socket.destroy()
  }

  onClosed(act: () => void): void {
    this.#socket.once('close', act)
  }
}

/** The method a running call is of. */
export interface CallOnConnection {
  readonly localName: string
  readonly parent: { readonly typeName: string }
}
