/** Makes what an enrolment sends. Loads the libraries for X.509 and JWT: see enrolment-material.ts for who calls it where. */
import { randomId, systemRandom } from '@cloudless/base'
import {
  createCsr,
  createKey,
  decodeJoinToken,
  loadPendingEnrolment,
  savePendingEnrolment,
} from '@cloudless/identity'
import type { EnrolmentMaterial, MaterialRequest } from './enrolment-material.ts'

/** The key and request of the attempt before, if it was for this token; else new ones, on disk before they are used. */
export async function makeEnrolmentMaterial({
  token,
  identityDirectory,
}: MaterialRequest): Promise<EnrolmentMaterial> {
  const claims = await decodeJoinToken(token)
  const kept = loadPendingEnrolment(identityDirectory, claims.tokenId)
  if (kept !== undefined) return { claims, pending: kept }
  const keyPem = await createKey()
  const pending = {
    keyPem,
    csrPem: await createCsr(keyPem),
    idempotencyKey: `enrol-${randomId(systemRandom, 20)}`,
    tokenId: claims.tokenId,
  }
  savePendingEnrolment(identityDirectory, pending)
  return { claims, pending }
}
