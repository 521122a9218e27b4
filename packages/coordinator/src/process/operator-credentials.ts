/** `coordinator credentials`: an operator's key and certificate, made by whoever may read the CA's files. */
import { join } from 'node:path'
import {
  CloudlessError,
  makePrivateDirectory,
  problemWithLabel,
  systemClock,
  writeDurablySync,
} from '@cloudless/base'
import { createCsr, createKey, openCertificateAuthority } from '@cloudless/identity'
import { caDirectoryOf } from './data-directory.ts'

export interface OperatorCredentialsOptions {
  readonly dataDirectory: string
  readonly trustDomain: string
  /** Who: the id in the certificate, and the actor in events. */
  readonly name: string
  /** Gets key.pem, cert.pem and ca.pem; made when absent. */
  readonly outDirectory: string
  readonly lifetimeMs: number
}

/** Resolves with when the certificate runs out, unix milliseconds. */
export async function issueOperatorCredentials(
  options: OperatorCredentialsOptions,
): Promise<number> {
  const problem = problemWithLabel(options.name)
  if (problem) throw new CloudlessError('invalid_argument', `--name: ${problem}`)
  const authority = await openCertificateAuthority(
    { clock: systemClock },
    { directory: caDirectoryOf(options.dataDirectory), trustDomain: options.trustDomain },
  )
  const keyPem = await createKey()
  const certificate = await authority.issue({
    csrPem: await createCsr(keyPem),
    spiffeId: { trustDomain: authority.trustDomain, type: 'operator', id: options.name },
    lifetimeMs: options.lifetimeMs,
  })
  makePrivateDirectory(options.outDirectory)
  writeDurablySync(join(options.outDirectory, 'ca.pem'), authority.certificatePem)
  writeDurablySync(join(options.outDirectory, 'key.pem'), keyPem)
  writeDurablySync(join(options.outDirectory, 'cert.pem'), certificate.certificatePem)
  return certificate.notAfterMs
}
