/** New certificates for members, and who may have one after their old one ran out. */
import { create } from '@bufbuild/protobuf'
import {
  RenewCertificateResponseSchema,
  type NodeRecord,
  type RenewCertificateResponse,
} from '@cloudless/api'
import { CloudlessError, formatDurationMs, type Clock } from '@cloudless/base'
import type { CertificateAuthority, MemberIdentity } from '@cloudless/identity'
import { putRecord, unchanged, type ClusterState } from '../state/cluster-state.ts'

export interface RenewalDeps {
  readonly state: ClusterState
  readonly authority: CertificateAuthority
  readonly clock: Clock
}

export interface RenewalOptions {
  readonly certificateLifetimeMs: number
  readonly rejoinWindowMs: number
}

export interface Renewed {
  readonly response: RenewCertificateResponse
  readonly node: NodeRecord
  readonly serial: string
}

/** Certificates of one node that are remembered: the newest and those before it that have not run out. */
const serialsKeptMax = 8

/** `peer` has proven that it holds the key of a certificate of ours, which may have run out. */
export async function renewCertificate(
  deps: RenewalDeps,
  options: RenewalOptions,
  peer: MemberIdentity,
  csrPem: string,
): Promise<Renewed> {
  const nowMs = deps.clock.wallMs()
  if (peer.expired && nowMs - peer.notAfterMs > options.rejoinWindowMs) {
    throw new CloudlessError(
      'unauthenticated',
      `the certificate ran out ${formatDurationMs(nowMs - peer.notAfterMs)} ago, longer than ` +
        `the ${formatDurationMs(options.rejoinWindowMs)} a node may be away: join again with a new token`,
    )
  }
  const held = deps.state.held('node', peer.id)
  if (!held) throw notAMember(peer.id)
  const certificate = await deps.authority.issue({
    csrPem,
    spiffeId: { trustDomain: deps.authority.trustDomain, type: 'node', id: peer.id },
    dnsNames: [held.record.node!.name],
    lifetimeMs: options.certificateLifetimeMs,
  })
  const node = await deps.state.update(() => {
    const current = deps.state.held('node', peer.id)
    if (!current) throw notAMember(peer.id)
    if (peer.expired) requireKeyOnRecord(current.record, peer, certificate.publicKeyFingerprint)
    const record: NodeRecord = {
      ...current.record,
      certificateSerials: [...current.record.certificateSerials, certificate.serial].slice(
        -serialsKeptMax,
      ),
      publicKeyFingerprint: certificate.publicKeyFingerprint,
      node: {
        ...current.record.node!,
        certificateExpiresAtMs: BigInt(certificate.notAfterMs),
      },
    }
    return {
      preconditions: [unchanged('node', current)],
      writes: [putRecord('node', peer.id, record)],
      result: record,
    }
  })
  const response = create(RenewCertificateResponseSchema, {
    certificate: certificate.certificatePem,
    caCertificate: deps.authority.certificatePem,
    expiresAtMs: BigInt(certificate.notAfterMs),
  })
  return { response, node: node!, serial: certificate.serial }
}

/**
 * A certificate that has run out proves only an old key. The one on record is what the node used last: a key it gave up,
 * which may since have leaked, does not bring it back, and what it brings back keeps that key.
 */
function requireKeyOnRecord(
  { publicKeyFingerprint }: NodeRecord,
  peer: MemberIdentity,
  requestedFingerprint: string,
): void {
  const isKnown = [peer.publicKeyFingerprint, requestedFingerprint].every(
    (fingerprint) => fingerprint === publicKeyFingerprint,
  )
  if (isKnown) return
  throw new CloudlessError(
    'permission_denied',
    'a node whose certificate has run out can only renew it for the key it used last: ' +
      'if that key is lost, join again with a new token',
  )
}

function notAMember(nodeId: string): CloudlessError {
  return new CloudlessError(
    'permission_denied',
    `${nodeId} is not a member of this cluster any more: join again with a new token`,
  )
}
