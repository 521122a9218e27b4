import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeCertificate, type LeafCertificate } from './certificate-encoding.ts'
import { integer, objectIdentifier, time } from './der.ts'
import { createKey, importKeyPair } from './key-and-csr.ts'
import { day, someTimeMs } from './testing.ts'
import { loadX509, signingAlgorithm } from './x509-library.ts'

const second = 1_000
const x509 = await loadX509()
const caKeyPem = await createKey()
const ca = await x509.X509CertificateGenerator.createSelfSigned({
  name: 'CN=A CA',
  signingAlgorithm,
  keys: await importKeyPair(caKeyPem),
  extensions: [
    await x509.SubjectKeyIdentifierExtension.create((await importKeyPair(caKeyPem)).publicKey),
  ],
})
const keyIdentifier = ca.getExtension(x509.SubjectKeyIdentifierExtension)!.keyId
const signer = {
  name: new Uint8Array(ca.subjectName.toArrayBuffer()),
  key: createPrivateKey(caKeyPem),
  keyIdentifier: Buffer.from(keyIdentifier, 'hex'),
}
const publicKey = createPublicKey(await createKey()).export({ format: 'der', type: 'spki' })

const label = fc.stringMatching(/^[a-z]([a-z0-9-]{0,40}[a-z0-9])?$/)
/** The library does not read the mixed form. */
const inGroups = fc.ipV6().filter((address) => !address.includes('.'))
const leaf: fc.Arbitrary<LeafCertificate> = fc.record({
  serial: fc.uint8Array({ minLength: 1, maxLength: 16 }).filter(([first]) => first! > 0),
  commonName: label,
  notBeforeMs: fc.integer({ min: 0, max: 3_000_000_000 }).map((seconds) => seconds * second),
  notAfterMs: fc.integer({ min: 0, max: 3_000_000_000 }).map((seconds) => seconds * second),
  publicKey: fc.constant(publicKey),
  uri: label.map((id) => `spiffe://cloudless/node/${id}`),
  dnsNames: fc.array(label, { maxLength: 20 }),
  ipAddresses: fc.array(fc.oneof(fc.ipV4(), inGroups), { maxLength: 20 }),
})

/** The same, as a library writes it. */
async function byTheLibrary(given: LeafCertificate) {
  return x509.X509CertificateGenerator.create({
    serialNumber: Buffer.from(given.serial).toString('hex'),
    subject: [{ CN: [given.commonName] }, { O: ['Cloudless'] }],
    issuer: ca.subjectName,
    notBefore: new Date(given.notBeforeMs),
    notAfter: new Date(given.notAfterMs),
    signingAlgorithm,
    publicKey: await crypto.subtle.importKey('spki', publicKey, signingAlgorithm, true, ['verify']),
    signingKey: (await importKeyPair(caKeyPem)).privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']),
      new x509.SubjectAlternativeNameExtension([
        { type: 'url', value: given.uri },
        ...given.dnsNames.map((value) => ({ type: 'dns' as const, value })),
        ...given.ipAddresses.map((value) => ({ type: 'ip' as const, value })),
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(ca.publicKey),
    ],
  })
}

const hex = (bytes: ArrayBuffer): string => Buffer.from(bytes).toString('hex')

test('says what a library would say, in the same bytes', async () => {
  await fc.assert(
    fc.asyncProperty(leaf, async (given) => {
      const ours = new x509.X509Certificate(new Uint8Array(encodeCertificate(given, signer)))
      const theirs = await byTheLibrary(given)
      for (const what of ['serialNumber', 'issuer', 'subject', 'notBefore', 'notAfter'] as const) {
        assert.deepEqual(ours[what], theirs[what], what)
      }
      assert.equal(hex(ours.issuerName.toArrayBuffer()), hex(ca.subjectName.toArrayBuffer()))
      assert.deepEqual(
        ours.extensions.map(({ type, critical, value }) => [type, critical, hex(value)]),
        theirs.extensions.map(({ type, critical, value }) => [type, critical, hex(value)]),
      )
    }),
    { numRuns: 50 },
  )
})

test('is a certificate to OpenSSL, issued and signed by its signer', () => {
  fc.assert(
    fc.property(leaf, (given) => {
      const certificate = new X509Certificate(encodeCertificate(given, signer))
      const issuer = new X509Certificate(ca.toString('pem'))
      assert.ok(certificate.verify(issuer.publicKey))
      assert.equal(certificate.issuer, issuer.subject)
      assert.equal(Date.parse(certificate.validFrom), given.notBeforeMs)
      assert.equal(Date.parse(certificate.validTo), given.notAfterMs)
      const key = certificate.publicKey.export({ format: 'der', type: 'spki' })
      assert.deepEqual(key, publicKey)
    }),
  )
})

test('a time is written with four digits for its year only where two would not do', () => {
  const text = (ms: number): string => time(ms).subarray(2).toString()
  assert.equal(text(someTimeMs + 0.5 * second), text(someTimeMs))
  assert.equal(text(Date.UTC(2049, 11, 31, 23, 59, 59)), '491231235959Z')
  assert.equal(text(Date.UTC(2050, 0, 1)), '20500101000000Z')
  assert.equal(text(Date.UTC(1970, 0, 1) + day), '700102000000Z')
})

test('an address may end as one of version 4', () => {
  const given = { ...fc.sample(leaf, 1)[0]!, dnsNames: [], ipAddresses: ['::ffff:192.0.2.1'] }
  const certificate = new X509Certificate(encodeCertificate(given, signer))
  assert.match(certificate.subjectAltName!, /IP Address:0:0:0:0:0:FFFF:C000:201$/)
})

test('numbers are written as the standard has them', () => {
  assert.equal(objectIdentifier('1.2.840.10045.4.3.2').toString('hex'), '06082a8648ce3d040302')
  assert.equal(integer(Buffer.of(0x80)).toString('hex'), '02020080')
  assert.equal(integer(Buffer.of(0x7f)).toString('hex'), '02017f')
})
