/** Keys and certificate requests (PKCS#10), made where the key will live: a private key never travels. */
import { createPrivateKey, createPublicKey, type webcrypto } from 'node:crypto'
import { CloudlessError } from '@cloudless/base'
import { loadX509, signingAlgorithm } from './x509-library.ts'

/** A new ECDSA P-256 private key, PKCS#8 PEM. */
export async function createKey(): Promise<string> {
  const keys = await crypto.subtle.generateKey(signingAlgorithm, true, ['sign', 'verify'])
  const der = await crypto.subtle.exportKey('pkcs8', keys.privateKey)
  return createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' })
    .export({ type: 'pkcs8', format: 'pem' })
    .toString()
}

/** A request for a certificate of this key, PEM. Its subject is empty: the CA decides names. */
export async function createCsr(keyPem: string): Promise<string> {
  const x509 = await loadX509()
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    keys: await importKeyPair(keyPem),
    signingAlgorithm,
  })
  return request.toString('pem')
}

/** Both halves of a P-256 private key, for signing. `corrupt_data` when the text is anything else. */
export async function importKeyPair(keyPem: string): Promise<webcrypto.CryptoKeyPair> {
  try {
    const privateKey = createPrivateKey(keyPem)
    const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' })
    const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
    return {
      privateKey: await crypto.subtle.importKey('pkcs8', pkcs8, signingAlgorithm, true, ['sign']),
      publicKey: await crypto.subtle.importKey('spki', spki, signingAlgorithm, true, ['verify']),
    }
  } catch (reason) {
    throw new CloudlessError('corrupt_data', 'the key is not an ECDSA P-256 private key in PEM', {
      cause: reason,
    })
  }
}
