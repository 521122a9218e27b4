/**
 * The first start of a coordinator beside others: what it gets from them before it has anything of its own.
 *
 * Each step may be repeated after a crash: the CA is stored whole or not at all, and a coordinator that asks again under the
 * same id and RAFT address is told the same.
 */
import { CoordinatorService, fromConnectError, type JoinCoordinatorResponse } from '@cloudless/api'
import { CloudlessError, parseAddress, sleep, version, type Clock } from '@cloudless/base'
import {
  decodeJoinToken,
  fetchCaCertificate,
  storeCaFiles,
  tlsClientOptions,
} from '@cloudless/identity'
import type { InitialCluster } from '@cloudless/metadata'
import type { Logger } from '@cloudless/observability'
import { createClient } from '@connectrpc/connect'
import { createConnectTransport } from '@connectrpc/connect-node'
import { existsSync } from 'node:fs'
import { caDirectoryOf, raftDirectoryOf } from './data-directory.ts'
import { raftAddressOf } from './engine.ts'
import type { CoordinatorSettings } from './settings.ts'

export interface JoinClusterDeps {
  readonly clock: Clock
  readonly logger: Logger
}

const askMsMax = 15_000
const retryMs = 1_000
const roundsMax = 30

/** How its RAFT member is to be started. Asks the others only when it is not one of them yet. */
export async function joinCluster(
  deps: JoinClusterDeps,
  settings: CoordinatorSettings,
): Promise<InitialCluster> {
  const { data_dir: directory } = settings
  const token = settings['raft.token']
  const isMember = existsSync(raftDirectoryOf(directory))
  if (isMember || (token === '' && settings['raft.join'].length === 0)) return { kind: 'new' }
  if (token === '') {
    throw new CloudlessError(
      'failed_precondition',
      'joining other coordinators needs --token: make one with `cloudlessctl token create --for-coordinator`',
    )
  }
  const answer = await askOthers(deps, settings, token)
  storeCaFiles(caDirectoryOf(directory), {
    keyPem: answer.caKey,
    certificatePem: answer.caCertificate,
    tokenKey: answer.tokenKey,
  })
  const members = answer.members.map(({ coordinatorId, raftAddress }) => ({
    name: coordinatorId || settings['raft.id'],
    peerAddress: raftAddress,
  }))
  return { kind: 'join', members }
}

/** Until one lets it in; a refusal is final. */
async function askOthers(
  { clock, logger }: JoinClusterDeps,
  settings: CoordinatorSettings,
  token: string,
): Promise<JoinCoordinatorResponse> {
  const claims = await decodeJoinToken(token)
  const given = settings['raft.join']
  const addresses = given.length > 0 ? given : (claims.addresses ?? [])
  if (addresses.length === 0) {
    throw new CloudlessError(
      'failed_precondition',
      'no coordinator is known: say one with --join host:port',
    )
  }
  for (let turn = 0; ; turn++) {
    const address = addresses[turn % addresses.length]!
    try {
      return await ask(settings, { address, token, fingerprint: claims.caFingerprint })
    } catch (reason) {
      const error = CloudlessError.from(reason)
      const isPassing = error.code === 'unavailable' || error.code === 'deadline_exceeded'
      if (!isPassing || turn >= roundsMax * addresses.length) throw error
      logger.warn({ address, code: error.code }, `not joined yet: ${error.message}`)
      await sleep(clock, retryMs)
    }
  }
}

async function ask(
  settings: CoordinatorSettings,
  given: { readonly address: string; readonly token: string; readonly fingerprint: string },
): Promise<JoinCoordinatorResponse> {
  const { address, token, fingerprint } = given
  const where = parseAddress(address)
  if (!where) throw new CloudlessError('invalid_argument', `--join: "${address}" is no host:port`)
  const caPem = await fetchCaCertificate({ ...where, fingerprint, timeoutMs: askMsMax })
  const trustDomain = settings['tls.trust_domain']
  const transport = createConnectTransport({
    httpVersion: '2',
    baseUrl: `https://${address}`,
    nodeOptions: tlsClientOptions({ caPem, trustDomain, serverType: 'controller' }),
    defaultTimeoutMs: askMsMax,
  })
  try {
    return await createClient(CoordinatorService, transport).joinCoordinator({
      token,
      coordinatorId: settings['raft.id'],
      raftAddress: raftAddressOf(settings),
      version,
    })
  } catch (reason) {
    throw fromConnectError(reason, `joining the coordinator at ${address}`)
  }
}
