export { createEtcdStore, type EtcdStoreDeps, type EtcdStoreOptions } from './etcd/etcd-store.ts'
export { operationsPerTransactionMax, transactionBytesMax } from './rules.ts'
export {
  createSqliteStore,
  type SqliteStoreDeps,
  type SqliteStoreOptions,
} from './sqlite/sqlite-store.ts'
export type * from './store.ts'
