/** For tests: a real etcd, of one member or several, on free ports of this machine and in a directory of its own. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sleep, systemClock } from '@cloudless/base'
import { createClient } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import { KV } from '../gen/etcd/etcdserver/etcdserverpb/rpc_pb.ts'
import { operationsPerTransactionMax, transactionBytesMax } from '../rules.ts'

export interface TestMember {
  readonly endpoint: string
  readonly process: ChildProcess
}

export interface TestEtcd {
  readonly members: readonly TestMember[]
  readonly endpoints: readonly string[]
  stop(): Promise<void>
}

export interface TestEtcdOptions {
  readonly members?: number
  readonly quotaBytes?: number
}

const startMsMax = 15_000
const retryMs = 50

export async function startEtcd({
  members = 1,
  quotaBytes,
}: TestEtcdOptions = {}): Promise<TestEtcd> {
  const directory = await mkdtemp(join(tmpdir(), 'cloudless-etcd-'))
  const ports = await freePorts(2 * members)
  const urlAt = (n: number): string => `http://127.0.0.1:${ports[n]}`
  const names = Array.from({ length: members }, (_, n) => `m${n}`)
  const cluster = names.map((name, n) => `${name}=${urlAt(2 * n + 1)}`).join(',')
  const started = names.map((name, n): TestMember => {
    const [client, peer] = [urlAt(2 * n), urlAt(2 * n + 1)]
    const flags = [
      ...['--name', name, '--data-dir', join(directory, name), '--log-level', 'error'],
      ...['--listen-client-urls', client, '--advertise-client-urls', client],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
      ...['--initial-cluster', cluster, '--initial-cluster-token', directory],
      ...['--max-txn-ops', String(2 * operationsPerTransactionMax)],
      ...['--max-request-bytes', String(2 * transactionBytesMax)],
      ...(quotaBytes === undefined ? [] : ['--quota-backend-bytes', String(quotaBytes)]),
    ]
    return { endpoint: client, process: spawn('etcd', flags, { stdio: 'ignore' }) }
  })
  const endpoints = started.map(({ endpoint }) => endpoint)
  async function stop(): Promise<void> {
    await Promise.all(started.map(({ process }) => killed(process)))
    await rm(directory, { recursive: true, force: true })
  }
  try {
    await Promise.all(endpoints.map(untilServing))
  } catch (reason) {
    await stop()
    throw reason
  }
  return { members: started, endpoints, stop }
}

async function killed(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return
  const ended = once(process, 'exit')
  process.kill('SIGKILL')
  await ended
}

async function untilServing(endpoint: string): Promise<void> {
  const kv = createClient(KV, createGrpcTransport({ baseUrl: endpoint }))
  const key = Buffer.from('a')
  for (const deadline = systemClock.monotonicMs() + startMsMax; ;) {
    try {
      await kv.range({ key }, { timeoutMs: 1_000 })
      return
    } catch (reason) {
      if (systemClock.monotonicMs() > deadline) {
        throw new Error(`etcd at ${endpoint} does not serve`, { cause: reason })
      }
      await sleep(systemClock, retryMs)
    }
  }
}

/** All held until all are known, so that no two are the same. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}
