/** The process of enrolment-material.ts: a request on standard input, an answer on standard output. */
import { text } from 'node:stream/consumers'
import { CloudlessError } from '@cloudless/base'
import type { MaterialAnswer, MaterialRequest } from './enrolment-material.ts'
import { makeEnrolmentMaterial } from './make-enrolment-material.ts'

const request = JSON.parse(await text(process.stdin)) as MaterialRequest
const answer = await makeEnrolmentMaterial(request).then(
  (material): MaterialAnswer => ({ kind: 'made', material }),
  (reason: unknown): MaterialAnswer => {
    const { code, message } = CloudlessError.from(reason)
    return { kind: 'failed', code, message }
  },
)
process.stdout.write(JSON.stringify(answer))
