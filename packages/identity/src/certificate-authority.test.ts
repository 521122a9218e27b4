import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { openCertificateAuthority } from './certificate-authority.ts'
import { readCaFiles, storeCaFiles } from './ca-directory.ts'
import { createCsr, createKey, importKeyPair } from './key-and-csr.ts'
import { clockAt, day, openTestCa, someTimeMs, temporaryDirectory } from './testing.ts'
import { loadX509, signingAlgorithm } from './x509-library.ts'

const node = { trustDomain: 'cloudless', type: 'node', id: 'node-a' } as const

test('makes a CA at the first start and finds it at the next', async (t) => {
  const directory = join(temporaryDirectory(t), 'deep', 'ca')
  const options = { directory, trustDomain: 'cloudless' }
  const first = await openCertificateAuthority({ clock: clockAt(someTimeMs) }, options)
  const second = await openCertificateAuthority({ clock: clockAt(someTimeMs + day) }, options)
  assert.equal(second.fingerprint, first.fingerprint)
  assert.deepEqual(second.tokenKey, first.tokenKey)
  assert.equal(first.tokenKey.length, 32)
  assert.equal(first.expiresAtMs, someTimeMs + 3_650 * day)
  assert.equal(first.certificate.ca, true)
  assert.equal(statSync(directory).mode & 0o777, 0o700)
  for (const name of readdirSync(directory)) {
    assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name)
  }
})

test('leaves no CA or a whole one, wherever its making was cut short', async (t) => {
  const parent = temporaryDirectory(t)
  const directory = join(parent, 'ca')
  const leftover = join(parent, '.ca.999999999.new')
  mkdirSync(leftover)
  writeFileSync(join(leftover, 'ca.key'), 'half')
  mkdirSync(directory) // An empty directory, made by hand, is fine.
  assert.equal(readCaFiles(directory), undefined)
  await openCertificateAuthority({ clock: clockAt(someTimeMs) }, { directory, trustDomain: 'x' })
  assert.equal(existsSync(leftover), false)
  assert.notEqual(readCaFiles(directory), undefined)
})

test('takes the CA of a process that was faster', (t) => {
  const directory = join(temporaryDirectory(t), 'ca')
  const files = { keyPem: 'key\n', certificatePem: 'certificate\n', tokenKey: 'first' }
  assert.deepEqual(storeCaFiles(directory, files), files)
  assert.deepEqual(storeCaFiles(directory, { ...files, tokenKey: 'second' }), files)
})

test('leaves the staging directory of a live process alone', (t) => {
  const parent = temporaryDirectory(t)
  const live = join(parent, `.ca.${process.ppid}.new`)
  mkdirSync(live)
  mkdirSync(join(parent, `.ca.${process.pid}.new`)) // Of an earlier process with our number.
  storeCaFiles(join(parent, 'ca'), { keyPem: 'k', certificatePem: 'c', tokenKey: 't' })
  assert.deepEqual(readdirSync(parent).toSorted(), [`.ca.${process.ppid}.new`, 'ca'])
})

test('says what stood in the way when the CA cannot be stored', (t) => {
  const parent = temporaryDirectory(t)
  writeFileSync(join(parent, 'ca'), 'a file where the directory should be')
  const files = { keyPem: 'k', certificatePem: 'c', tokenKey: 't' }
  assert.throws(() => storeCaFiles(join(parent, 'ca'), files), {
    name: 'CloudlessError',
    message: /storing the CA in .*ca: /,
  })
  assert.deepEqual(readdirSync(parent), ['ca'])
})

for (const missing of ['ca.key', 'ca.crt', 'token.key']) {
  test(`does not fill up a CA that lost its ${missing}`, async (t) => {
    const directory = join(temporaryDirectory(t), 'ca')
    const open = () =>
      openCertificateAuthority({ clock: clockAt(someTimeMs) }, { directory, trustDomain: 'x' })
    await open()
    rmSync(join(directory, missing))
    await assert.rejects(open, { code: 'corrupt_data', message: new RegExp(`lacks ${missing}`) })
  })
}

test('refuses a key and a certificate that do not belong together', async (t) => {
  const directory = join(temporaryDirectory(t), 'ca')
  const open = () =>
    openCertificateAuthority({ clock: clockAt(someTimeMs) }, { directory, trustDomain: 'x' })
  await open()
  writeFileSync(join(directory, 'ca.key'), await createKey())
  await assert.rejects(open, { code: 'corrupt_data', message: /do not belong together/ })
  writeFileSync(join(directory, 'ca.key'), 'rubbish')
  await assert.rejects(open, { code: 'corrupt_data', message: /not an ECDSA P-256 private key/ })
  chmodSync(directory, 0o700)
})

test('refuses a CA certificate that is none', async (t) => {
  const directory = join(temporaryDirectory(t), 'ca')
  storeCaFiles(directory, { keyPem: await createKey(), certificatePem: 'rubbish', tokenKey: 't' })
  const open = openCertificateAuthority({ clock: clockAt(0) }, { directory, trustDomain: 'x' })
  await assert.rejects(open, { code: 'corrupt_data', message: /ca.crt in .* is not a PEM/ })
})

test('certifies the key of a request under the name it is told', async (t) => {
  const ca = await openTestCa(t, { wallMs: someTimeMs })
  const keyPem = await createKey()
  const issued = await ca.issue({
    csrPem: await createCsr(keyPem),
    spiffeId: node,
    dnsNames: ['node-a.cloudless'],
    ipAddresses: ['10.0.0.1', 'fd00::1'],
    lifetimeMs: day,
  })
  const certificate = new X509Certificate(issued.certificatePem)
  assert.deepEqual(issued.spiffeId, node)
  assert.ok(certificate.checkPrivateKey(createPrivateKey(keyPem)))
  assert.ok(certificate.checkIssued(ca.certificate) && certificate.verify(ca.certificate.publicKey))
  assert.equal(certificate.ca, false)
  assert.equal(
    certificate.subjectAltName,
    'URI:spiffe://cloudless/node/node-a, DNS:node-a.cloudless, ' +
      'IP Address:10.0.0.1, IP Address:FD00:0:0:0:0:0:0:1',
  )
  assert.equal(issued.notAfterMs, someTimeMs + day)
  assert.equal(issued.notBeforeMs, someTimeMs - 3_600_000)
})

test('dates back by at most a fifth of the lifetime, and not before the CA', async (t) => {
  const ca = await openTestCa(t, { wallMs: someTimeMs })
  const csrPem = await createCsr(await createKey())
  const brief = await ca.issue({ csrPem, spiffeId: node, lifetimeMs: 10_000 })
  assert.equal(brief.notBeforeMs, someTimeMs - 2_000)
  const asked = await ca.issue({ csrPem, spiffeId: node, lifetimeMs: day, backdateMs: 60_000 })
  assert.equal(asked.notBeforeMs, someTimeMs - 60_000)
  const long = { csrPem, spiffeId: node, lifetimeMs: 9_999 * day, backdateMs: 99 * day }
  const longest = await ca.issue(long)
  assert.equal(longest.notBeforeMs, someTimeMs - day)
  assert.equal(longest.notAfterMs, ca.expiresAtMs)
  assert.notEqual(longest.serial, brief.serial)
})

test('issues nothing once the CA has run out', async (t) => {
  const directory = join(temporaryDirectory(t), 'ca')
  const options = { directory, trustDomain: 'cloudless', lifetimeMs: day }
  await openCertificateAuthority({ clock: clockAt(someTimeMs) }, options)
  const late = await openCertificateAuthority({ clock: clockAt(someTimeMs + day) }, options)
  const csrPem = await createCsr(await createKey())
  await assert.rejects(late.issue({ csrPem, spiffeId: node, lifetimeMs: day }), {
    code: 'failed_precondition',
    message: /CA ran out at .*: check the clock/,
  })
})

test('ignores the subject and the extensions of a request', async (t) => {
  const ca = await openTestCa(t)
  const x509 = await loadX509()
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=coordinator-1, O=Cloudless',
    keys: await importKeyPair(await createKey()),
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 5, true),
      new x509.SubjectAlternativeNameExtension([
        { type: 'url', value: 'spiffe://cloudless/operator/admin' },
      ]),
    ],
  })
  const issued = await ca.issue({ csrPem: csr.toString('pem'), spiffeId: node, lifetimeMs: day })
  const certificate = new X509Certificate(issued.certificatePem)
  assert.equal(certificate.ca, false)
  assert.equal(certificate.subjectAltName, 'URI:spiffe://cloudless/node/node-a')
  assert.match(certificate.subject, /CN=node-a/)
})

test('refuses requests that are malformed, of another kind of key, or not signed by it', async (t) => {
  const ca = await openTestCa(t)
  const x509 = await loadX509()
  const good = await createCsr(await createKey())
  const tampered = Buffer.from(good.replace(/-----.*-----|\s/g, ''), 'base64')
  tampered[tampered.length - 1]! ^= 1
  const asPem = (der: Uint8Array) =>
    `-----BEGIN CERTIFICATE REQUEST-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE REQUEST-----`
  const p384 = { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' }
  const other = await x509.Pkcs10CertificateRequestGenerator.create({
    keys: await crypto.subtle.generateKey(p384, true, ['sign', 'verify']),
    signingAlgorithm: p384,
  })
  const cases: readonly [string, RegExp][] = [
    ['', /not a PKCS#10 request/],
    ['rubbish', /not a PKCS#10 request/],
    [ca.certificatePem, /not a PKCS#10 request/],
    [asPem(tampered), /not signed with its own key|not a PKCS#10/],
    [other.toString('pem'), /for an ECDSA P-256 key/],
    ['x'.repeat(20_000), /longer than 16384 bytes/],
  ]
  for (const [csrPem, message] of cases) {
    await assert.rejects(ca.issue({ csrPem, spiffeId: node, lifetimeMs: day }), {
      code: 'invalid_argument',
      message,
    })
  }
})

test('whatever is changed of a request, it is refused or is as it was', async (t) => {
  const ca = await openTestCa(t)
  const good = Buffer.from(
    (await createCsr(await createKey())).replaceAll(/-----.*-----|\s/g, ''),
    'base64',
  )
  const { publicKeyFingerprint } = await issueFor(good)
  function issueFor(der: Uint8Array) {
    const body = Buffer.from(der).toString('base64')
    const csrPem = `-----BEGIN CERTIFICATE REQUEST-----\n${body}\n-----END CERTIFICATE REQUEST-----`
    return ca.issue({ csrPem, spiffeId: node, lifetimeMs: day })
  }
  await fc.assert(
    fc.asyncProperty(
      fc.nat(good.byteLength - 1),
      fc.integer({ min: 1, max: 255 }),
      fc.nat(good.byteLength),
      async (at, change, length) => {
        const bad = Buffer.from(
          good.subarray(0, length === 0 ? undefined : Math.max(at + 1, length)),
        )
        bad[at]! ^= change
        const issued = await issueFor(bad).catch((reason: unknown) => {
          assert.equal((reason as { code?: string }).code, 'invalid_argument')
          return undefined
        })
        if (issued) assert.equal(issued.publicKeyFingerprint, publicKeyFingerprint)
      },
    ),
  )
})

test('does not name anyone in another trust domain', async (t) => {
  const ca = await openTestCa(t)
  const csrPem = await createCsr(await createKey())
  const spiffeId = { ...node, trustDomain: 'elsewhere' }
  await assert.rejects(ca.issue({ csrPem, spiffeId, lifetimeMs: day }), {
    name: 'AssertionFailure',
  })
})

test('signs requests with P-256 keys only', async () => {
  const { privateKey } = generateKeyPairSync('ed25519')
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  await assert.rejects(createCsr(pem), { code: 'corrupt_data' })
})
