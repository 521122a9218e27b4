/** The process of enrolment-material.ts: a request on standard input, an answer on standard output. */
import { text } from 'node:stream/consumers'
import { CloudlessError, randomId, systemRandom } from '@cloudless/base'
import {
  createCsr,
  createKey,
  decodeJoinToken,
  loadPendingEnrolment,
  savePendingEnrolment,
} from '@cloudless/identity'
import type { EnrolmentMaterial, MaterialAnswer, MaterialRequest } from './enrolment-material.ts'

const request = JSON.parse(await text(process.stdin)) as MaterialRequest
const answer = await make(request).then(
  (material): MaterialAnswer => ({ kind: 'made', material }),
  (reason: unknown): MaterialAnswer => {
    const { code, message } = CloudlessError.from(reason)
    return { kind: 'failed', code, message }
  },
)
process.stdout.write(JSON.stringify(answer))

/** The key and request of the attempt before, if it was for this token; else new ones, on disk before they are used. */
async function make({ token, identityDirectory }: MaterialRequest): Promise<EnrolmentMaterial> {
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
