import type { MetadataStore } from './store.ts'

/** The same store, but for how it carries out transactions. */
export function withTransact(
  store: MetadataStore,
  transact: MetadataStore['transact'],
): MetadataStore {
  return {
    transact,
    get: (key) => store.get(key),
    list: (prefix, options) => store.list(prefix, options),
    snapshot: () => store.snapshot(),
    watch: (prefix, options) => store.watch(prefix, options),
    grantLease: (ttlMs) => store.grantLease(ttlMs),
    keepLeaseAlive: (leaseId) => store.keepLeaseAlive(leaseId),
    revokeLease: (leaseId) => store.revokeLease(leaseId),
    compact: (revision) => store.compact(revision),
    status: () => store.status(),
    close: () => store.close(),
  }
}
