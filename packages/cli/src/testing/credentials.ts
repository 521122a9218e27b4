/** For tests: a CA with a coordinator's and an operator's certificate, as files where the CLI finds them. */
import {
  createCsr,
  createKey,
  openCertificateAuthority,
  type IdentityType,
} from '@cloudless/identity'
import { systemClock } from '@cloudless/base'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface TestCredentials {
  readonly keyPem: string
  readonly certificatePem: string
  readonly caPem: string
}

const hourMs = 3_600_000

/** A new CA in `directory`/ca. */
export async function createTestAuthority(directory: string): Promise<{
  issue(type: IdentityType, id: string): Promise<TestCredentials>
}> {
  const authority = await openCertificateAuthority(
    { clock: systemClock },
    { directory: join(directory, 'ca'), trustDomain: 'cloudless' },
  )
  return {
    async issue(type, id) {
      const keyPem = await createKey()
      const { certificatePem } = await authority.issue({
        csrPem: await createCsr(keyPem),
        spiffeId: { trustDomain: authority.trustDomain, type, id },
        lifetimeMs: hourMs,
      })
      return { keyPem, certificatePem, caPem: authority.certificatePem }
    },
  }
}

/** Writes the three files and a configuration that names them relative to itself. */
export function writeConfiguration(
  directory: string,
  coordinator: string,
  credentials: TestCredentials,
): string {
  mkdirSync(join(directory, 'operator'), { recursive: true })
  writeFileSync(join(directory, 'operator', 'key.pem'), credentials.keyPem, { mode: 0o600 })
  writeFileSync(join(directory, 'operator', 'cert.pem'), credentials.certificatePem)
  writeFileSync(join(directory, 'operator', 'ca.pem'), credentials.caPem)
  const path = join(directory, 'config.yaml')
  writeFileSync(
    path,
    [
      'current_context: test',
      'contexts:',
      '  - name: test',
      `    coordinator: ${coordinator}`,
      '    ca_file: operator/ca.pem',
      '    cert_file: operator/cert.pem',
      '    key_file: operator/key.pem',
      '  - name: other',
      '    coordinator: 127.0.0.1:1',
      '    ca_file: operator/ca.pem',
      '    cert_file: operator/cert.pem',
      '    key_file: operator/key.pem',
      '    namespace: prod',
      '',
    ].join('\n'),
  )
  return path
}
