/** Every open connection of this coordinator, and the watch over those whose right has ended. */
import { every, type Clock, type CloudlessError } from '@cloudless/base'
import { authorizeCall, type CalledMethod } from '@cloudless/identity'
import type { ClientConnection } from './client-connection.ts'
import { refusalFor } from './request-gate.ts'

/** How often running calls are checked against expiry and removal. */
export const sweepIntervalMs = 500

export class ConnectionTable {
  readonly #clock: Clock
  readonly #connections = new Set<ClientConnection>()
  readonly #stopSweeping: () => void

  constructor(clock: Clock) {
    this.#clock = clock
    this.#stopSweeping = every(clock, sweepIntervalMs, () => this.sweep())
  }

  add(connection: ClientConnection): void {
    this.#connections.add(connection)
    connection.onClosed(() => this.#connections.delete(connection))
  }

  get size(): number {
    return this.#connections.size
  }

  /** Running calls of all connections. */
  get callCount(): number {
    let count = 0
    for (const connection of this.#connections) count += connection.callCount
    return count
  }

  /** Cuts every connection of a node; for one that was removed. */
  closeConnectionsOf(nodeId: string): void {
    for (const connection of this.#connections) {
      if (connection.nodeId === nodeId) connection.destroy()
    }
  }

  /** Ends the calls that would be refused if they were made now. */
  sweep(): void {
    const nowMs = this.#clock.wallMs()
    for (const connection of this.#connections) {
      if (connection.callCount === 0) continue
      const peer = connection.peerAt(nowMs)
      connection.endCalls((call) => refusalFor(authorizeCall(peer, call)))
    }
  }

  /** Ends the calls that run now, but for those that do not depend on who leads. */
  endCalls(reason: CloudlessError): void {
    for (const connection of this.#connections) {
      connection.endCalls((call) => (isOfAnyTerm(call) ? undefined : reason))
    }
  }

  /** Ends every call with this reason, and those that come later on open connections. */
  refuseCalls(reason: CloudlessError): void {
    for (const connection of this.#connections) connection.refuseCalls(reason)
  }

  /** Cuts what is left and stops the watch. */
  close(): void {
    this.#stopSweeping()
    for (const connection of this.#connections) connection.destroy()
  }
}

/** Health checks, and what is asked of this coordinator whoever leads: a term may end while it is recovered. */
function isOfAnyTerm({ parent, localName }: CalledMethod): boolean {
  if (parent.typeName === 'grpc.health.v1.Health') return true
  return localName === 'recoverCoordinator' || localName === 'describeCoordinator'
}
