/**
 * What an enrolment sends: the token's claims, a key, its request and an idempotency key.
 *
 * Made by a process of its own, because the libraries for it (X.509, JWT) take 50 MB that a running agent never needs again
 * and that only the end of a process gives back. The token goes through its standard input, where nobody sees it.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { CloudlessError, type ErrorCode } from '@cloudless/base'
import type { JoinTokenClaims, PendingEnrolment } from '@cloudless/identity'

export interface EnrolmentMaterial {
  readonly claims: JoinTokenClaims
  readonly pending: PendingEnrolment
}

export interface MaterialRequest {
  readonly token: string
  readonly identityDirectory: string
}

export type MaterialAnswer =
  | { readonly kind: 'made'; readonly material: EnrolmentMaterial }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string }

const makerPath = fileURLToPath(new URL('./enrolment-material-maker.ts', import.meta.url))
const timeoutMs = 60_000

/** On disk when it resolves. `invalid_argument` when the token is none. */
export function prepareEnrolment(request: MaterialRequest): Promise<EnrolmentMaterial> {
  return new Promise((resolve, reject) => {
    const args = ['--disable-warning=ExperimentalWarning', makerPath]
    const maker = spawn(process.execPath, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      timeout: timeoutMs,
    })
    let output = ''
    maker.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    maker.once('error', reject)
    maker.once('close', (exitCode) => {
      if (output === '') {
        const said = `the process that makes the key ended with exit code ${exitCode}`
        return reject(new CloudlessError('internal', said))
      }
      const answer = JSON.parse(output) as MaterialAnswer
      if (answer.kind === 'made') resolve(answer.material)
      else reject(new CloudlessError(answer.code, answer.message))
    })
    maker.stdin.on('error', () => {}) // It ended early: said by its close.
    maker.stdin.end(JSON.stringify(request))
  })
}
