/** Certificates of a test's own CA, for members of every kind. */
import { systemClock, type Clock } from '@cloudless/base'
import {
  createCsr,
  createKey,
  openCertificateAuthority,
  type CertificateAuthority,
  type Credentials,
  type IdentityType,
} from '@cloudless/identity'

export const trustDomain = 'cloudless'

export function openTestCa(
  directory: string,
  clock: Clock = systemClock,
): Promise<CertificateAuthority> {
  return openCertificateAuthority({ clock }, { directory, trustDomain })
}

export async function issueFor(
  authority: CertificateAuthority,
  member: { readonly type: IdentityType; readonly id: string },
  lifetimeMs = 3_600_000,
): Promise<Credentials> {
  const keyPem = await createKey()
  const { certificatePem } = await authority.issue({
    csrPem: await createCsr(keyPem),
    spiffeId: { trustDomain, ...member },
    dnsNames: [],
    ipAddresses: [],
    lifetimeMs,
    backdateMs: 60_000,
  })
  return { keyPem, certificatePem, caPem: authority.certificatePem }
}
