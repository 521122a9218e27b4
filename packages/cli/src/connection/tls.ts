/**
 * TLS towards a coordinator: 1.3 only, our certificate, the cluster's CA, and a server that is a controller by its
 * SPIFFE id. The host name is not checked: coordinators are reached under addresses no certificate can foresee.
 *
 * Written with node:tls alone, because the certificate library costs a command more time than the call it makes.
 */
import { CloudlessError, messageOf, systemCodeOf } from '@cloudless/base'
import { readFileSync } from 'node:fs'
import type { SecureClientSessionOptions } from 'node:http2'
import type { PeerCertificate } from 'node:tls'
import type { Settings } from '../config/settings.ts'

const serverName = 'coordinator.cloudless'

/** Throws CloudlessError (unauthenticated) when a file is missing, naming it and what to do. */
export function tlsOptions(settings: Settings): SecureClientSessionOptions {
  const { caFile, certFile, keyFile } = settings
  if (caFile === undefined || certFile === undefined || keyFile === undefined) {
    const missing = [
      ...(caFile === undefined ? ['--ca-file'] : []),
      ...(certFile === undefined ? ['--cert-file'] : []),
      ...(keyFile === undefined ? ['--key-file'] : []),
    ]
    throw new CloudlessError(
      'unauthenticated',
      `there are no credentials for ${settings.coordinators[0]}: ${missing.join(', ')} not given` +
        (settings.configPath === undefined
          ? ' and no configuration file found. `make up` writes one; name it with --config.'
          : `, also not by ${settings.configPath}.`),
    )
  }
  return {
    ca: readCredential(caFile, 'the CA certificate'),
    cert: readCredential(certFile, 'your certificate'),
    key: readCredential(keyFile, 'your private key'),
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['h2'],
    servername: serverName,
    checkServerIdentity: (_host: string, certificate: PeerCertificate) =>
      isController(certificate.subjectaltname)
        ? undefined
        : new Error('the server is not a coordinator: its certificate has no controller identity'),
  }
}

/** Whether a certificate's alternative names hold spiffe://<trust domain>/controller/<id>. */
export function isController(subjectAltName: string | undefined): boolean {
  return (subjectAltName ?? '')
    .split(', ')
    .some((name) => /^URI:spiffe:\/\/[^/\s]+\/controller\/[^/\s]+$/.test(name))
}

function readCredential(path: string, what: string): Buffer {
  try {
    return readFileSync(path)
  } catch (reason) {
    const why = systemCodeOf(reason) === 'ENOENT' ? 'there is no such file' : messageOf(reason)
    throw new CloudlessError('unauthenticated', `could not read ${what}, ${path}: ${why}.`, {
      cause: reason,
    })
  }
}
