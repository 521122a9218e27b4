/** What the event log needs of a durable store; the metadata store has it. */

export interface StoredEvent {
  readonly key: string
  readonly value: Uint8Array
  readonly modRevision: number
}

export interface EventStore {
  get(key: string): Promise<StoredEvent | undefined>
  list(
    prefix: string,
    options?: { readonly limit?: number; readonly afterKey?: string },
  ): Promise<{
    readonly entries: readonly StoredEvent[]
    readonly revision: number
    readonly more: boolean
  }>
  transact(transaction: {
    readonly preconditions?: readonly (
      | { readonly kind: 'absent'; readonly key: string }
      | { readonly kind: 'unchanged'; readonly key: string; readonly modRevision: number }
    )[]
    readonly writes: readonly (
      | { readonly kind: 'put'; readonly key: string; readonly value: Uint8Array }
      | { readonly kind: 'delete'; readonly key: string }
    )[]
  }): Promise<{ readonly kind: 'committed' | 'refused'; readonly revision: number }>
  watch(
    prefix: string,
    options: { readonly fromRevision: number; readonly signal: AbortSignal },
  ): AsyncIterable<{
    readonly revision: number
    readonly changes: readonly (
      | { readonly kind: 'put'; readonly entry: StoredEvent }
      | { readonly kind: 'delete'; readonly key: string }
    )[]
  }>
}
