export type { DumpSummary } from './dump/dump-format.ts'
export { dumpStore, type Dump, type DumpOptions } from './dump/dump-store.ts'
export { loadStore, readDump, type LoadOptions } from './dump/load-store.ts'
export { createEtcdStore, type EtcdStoreDeps, type EtcdStoreOptions } from './etcd/etcd-store.ts'
export type { Alarm, AlarmChange, AlarmKind } from './etcd/member/alarms.ts'
export type { MemberCredentials, MemberNames, MemberTls } from './etcd/member/certificate.ts'
export {
  createEtcdCluster,
  type EtcdCluster,
  type EtcdClusterMember,
  type EtcdClusterOptions,
} from './etcd/member/etcd-cluster.ts'
export { findEtcd } from './etcd/member/binary.ts'
export { startEtcdMember, type EtcdMember } from './etcd/member/etcd-member.ts'
export type { EtcdPeer } from './etcd/member/flags.ts'
export type {
  EtcdMemberDeps,
  EtcdMemberOptions,
  InitialCluster,
} from './etcd/member/member-options.ts'
export type { MemberStatus } from './etcd/member/status.ts'
export type { EtcdMemberState } from './etcd/member/supervisor.ts'
export type { EtcdTimers } from './etcd/member/timers.ts'
export { operationsPerTransactionMax, transactionBytesMax } from './rules.ts'
export { takeOwnership } from './sqlite/ownership.ts'
export {
  createSqliteStore,
  type SqliteStoreDeps,
  type SqliteStoreOptions,
} from './sqlite/sqlite-store.ts'
export type * from './store.ts'
export { withTransact } from './with-transact.ts'
