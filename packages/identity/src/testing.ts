/** For the tests of this package: certificates of every kind, and TLS servers to show them to. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { systemClock, type Clock } from '@cloudless/base'
import { openCertificateAuthority, type CertificateAuthority } from './certificate-authority.ts'
import type { Credentials } from './credentials.ts'
import { createCsr, createKey } from './key-and-csr.ts'
import type { IdentityType } from './spiffe-id.ts'

export const day = 86_400_000
/** Certificates have whole seconds. */
export const someTimeMs = 1_800_000_000_000

export function clockAt(wallMs: number): Clock {
  return { monotonicMs: () => 0, wallMs: () => wallMs, after: () => () => undefined }
}

export function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'cloudless-identity-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export function openTestCa(
  t: TestContext,
  options: { wallMs?: number; trustDomain?: string } = {},
): Promise<CertificateAuthority> {
  return openCertificateAuthority(
    { clock: clockAt(options.wallMs ?? systemClock.wallMs()) },
    {
      directory: join(temporaryDirectory(t), 'ca'),
      trustDomain: options.trustDomain ?? 'cloudless',
    },
  )
}

export async function credentialsFor(
  ca: CertificateAuthority,
  type: IdentityType,
  id: string,
  lifetimeMs = day,
): Promise<Credentials> {
  const keyPem = await createKey()
  const { certificatePem } = await ca.issue({
    csrPem: await createCsr(keyPem),
    spiffeId: { trustDomain: ca.trustDomain, type, id },
    lifetimeMs,
  })
  return { keyPem, certificatePem, caPem: ca.certificatePem }
}
