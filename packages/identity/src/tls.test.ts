/** Both sides of the handshake with real sockets: who is let in, who is told from whom. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { test, type TestContext } from 'node:test'
import { systemClock } from '@cloudless/base'
import type { CertificateAuthority } from './certificate-authority.ts'
import { fetchCaCertificate } from './fetch-ca.ts'
import { identifyPeer, type PeerIdentity } from './peer.ts'
import { credentialsFor, day, openTestCa } from './testing.ts'
import { tlsClientOptions } from './tls-client.ts'
import { createTrustAnchor } from './trust-anchor.ts'
import type { Credentials } from './credentials.ts'

async function listen(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

interface TestServer {
  readonly port: number
  /** What the newest connection's peer is. */
  readonly nextPeer: () => Promise<PeerIdentity>
}

async function startServer(
  t: TestContext,
  ca: CertificateAuthority,
  options: { credentials?: Credentials; nowMs?: number; withCa?: boolean } = {},
): Promise<TestServer> {
  const own = options.credentials ?? (await credentialsFor(ca, 'controller', 'coordinator-1'))
  const server = createServer({
    key: own.keyPem,
    cert: options.withCa === false ? own.certificatePem : own.certificatePem + own.caPem,
    // With `ca` given, the library would add it to the chain by itself.
    ...(options.withCa === false ? {} : { ca: ca.certificatePem }),
    minVersion: 'TLSv1.3',
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ['h2'],
  })
  const anchor = createTrustAnchor(ca.certificatePem, 'cloudless')
  server.on('secureConnection', (socket: TLSSocket) => {
    socket.on('error', () => undefined) // The client goes away as it likes.
    server.emit('peer', identifyPeer(socket, anchor, options.nowMs ?? systemClock.wallMs()))
    socket.end()
  })
  server.on('tlsClientError', () => undefined) // Refused by the client: the client's side asserts it.
  const nextPeer = async (): Promise<PeerIdentity> => {
    const [peer] = await once(server, 'peer', { signal: AbortSignal.timeout(5_000) })
    return peer as PeerIdentity
  }
  return { port: await listen(t, server), nextPeer }
}

async function dial(options: object, port: number): Promise<void> {
  const socket = connect({ ...options, host: '127.0.0.1', port })
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(5_000) })
    socket.resume()
    await once(socket, 'close')
  } finally {
    socket.destroy()
  }
}

test('tells members, strangers and nobody apart', async (t) => {
  const ca = await openTestCa(t)
  const foreignCa = await openTestCa(t)
  const server = await startServer(t, ca)
  const expect = async (credentials: Credentials | undefined): Promise<PeerIdentity> => {
    const peer = server.nextPeer()
    await dial(
      tlsClientOptions({
        caPem: ca.certificatePem,
        trustDomain: 'cloudless',
        serverType: 'controller',
        alpnProtocols: ['h2'],
        ...(credentials === undefined ? {} : { credentials }),
      }),
      server.port,
    )
    return peer
  }
  assert.deepEqual(await expect(undefined), { kind: 'anonymous' })
  const member = await expect(await credentialsFor(ca, 'node', 'node-a'))
  assert.ok(member.kind === 'member' && !member.expired)
  assert.deepEqual([member.type, member.id], ['node', 'node-a'])
  const stranger = await expect(await credentialsFor(foreignCa, 'node', 'node-a'))
  assert.deepEqual(stranger, {
    kind: 'foreign',
    reason: "the certificate was not issued by this cluster's CA",
  })
  const otherDomain = await openTestCa(t, { trustDomain: 'elsewhere' })
  assert.equal((await expect(await credentialsFor(otherDomain, 'node', 'a'))).kind, 'foreign')
})

test('knows a member whose certificate has run out, and one whose time has not come', async (t) => {
  const ca = await openTestCa(t)
  const credentials = await credentialsFor(ca, 'node', 'node-a')
  const options = tlsClientOptions({
    caPem: ca.certificatePem,
    trustDomain: 'cloudless',
    serverType: 'controller',
    credentials,
  })
  const late = await startServer(t, ca, { nowMs: systemClock.wallMs() + 2 * day })
  const latePeer = late.nextPeer()
  await dial(options, late.port)
  const expired = await latePeer
  assert.ok(expired.kind === 'member' && expired.expired)
  const early = await startServer(t, ca, { nowMs: systemClock.wallMs() - 2 * day })
  const earlyPeer = early.nextPeer()
  await dial(options, early.port)
  const future = await earlyPeer
  assert.ok(future.kind === 'foreign')
  assert.match(future.reason, /not valid before .*: check the clocks/)
})

test('takes certificates from its own trust domain that name one identity, and no CA', async (t) => {
  const ca = await openTestCa(t)
  const anchor = createTrustAnchor(ca.certificatePem, 'other-domain')
  const { identifyCertificate } = await import('./peer.ts')
  const { X509Certificate } = await import('node:crypto')
  const leaf = new X509Certificate((await credentialsFor(ca, 'node', 'a')).certificatePem)
  assert.deepEqual(identifyCertificate(leaf, anchor, systemClock.wallMs()), {
    kind: 'foreign',
    reason: 'the certificate is of the trust domain "cloudless"',
  })
  assert.deepEqual(identifyCertificate(ca.certificate, anchor, systemClock.wallMs()), {
    kind: 'foreign',
    reason: 'the certificate is a CA, not a member',
  })
})

test('takes certificates that name exactly one identity', async () => {
  const { loadX509, signingAlgorithm } = await import('./x509-library.ts')
  const { X509Certificate } = await import('node:crypto')
  const { identifyCertificate } = await import('./peer.ts')
  const x509 = await loadX509()
  const keys = await crypto.subtle.generateKey(signingAlgorithm, true, ['sign', 'verify'])
  for (const uris of [
    [],
    ['https://example.com'],
    ['spiffe://cloudless/node/a', 'spiffe://cloudless/operator/b'],
  ]) {
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: 'CN=x',
      notBefore: new Date(systemClock.wallMs() - day),
      notAfter: new Date(systemClock.wallMs() + day),
      signingAlgorithm,
      keys,
      extensions: [
        new x509.SubjectAlternativeNameExtension([
          { type: 'dns', value: 'x, URI:spiffe://cloudless/operator/admin' },
          ...uris.map((value) => ({ type: 'url' as const, value })),
        ]),
      ],
    })
    const pem = certificate.toString('pem')
    const anchor = createTrustAnchor(pem, 'cloudless')
    assert.deepEqual(identifyCertificate(new X509Certificate(pem), anchor, systemClock.wallMs()), {
      kind: 'foreign',
      reason: 'the certificate names no identity',
    })
  }
})

test('a client refuses a server that is not what it should be', async (t) => {
  const ca = await openTestCa(t)
  const foreignCa = await openTestCa(t)
  const base = {
    caPem: ca.certificatePem,
    trustDomain: 'cloudless',
    serverType: 'controller',
  } as const
  const node = await credentialsFor(ca, 'node', 'node-a')
  const impostor = await startServer(t, ca, { credentials: node })
  await assert.rejects(dial(tlsClientOptions(base), impostor.port), {
    message: 'the server was refused: it is node "node-a", not controller',
  })
  const genuine = await startServer(t, ca)
  const other = tlsClientOptions({ ...base, serverId: 'coordinator-2' })
  await assert.rejects(dial(other, genuine.port), {
    message:
      'the server was refused: it is controller "coordinator-1", not controller "coordinator-2"',
  })
  const wrongDomain = tlsClientOptions({ ...base, trustDomain: 'elsewhere' })
  await assert.rejects(dial(wrongDomain, genuine.port), { message: /refused: .* trust domain/ })
  const foreign = tlsClientOptions({ ...base, caPem: foreignCa.certificatePem })
  await assert.rejects(dial(foreign, genuine.port), { code: /SELF_SIGNED|UNABLE_TO/ })
  const right = tlsClientOptions({ ...base, serverId: 'coordinator-1' })
  await dial(right, genuine.port)
})

test('fetches the CA that the token names, and no other', async (t) => {
  const ca = await openTestCa(t)
  const server = await startServer(t, ca)
  const options = { host: '127.0.0.1', port: server.port, timeoutMs: 5_000 }
  const fingerprint = ca.fingerprint.toUpperCase()
  assert.equal(await fetchCaCertificate({ ...options, fingerprint }), ca.certificatePem)
  await assert.rejects(fetchCaCertificate({ ...options, fingerprint: '0'.repeat(64) }), {
    code: 'unauthenticated',
    message: /is not a coordinator of the cluster that made this token/,
  })
  const bare = await startServer(t, ca, { withCa: false })
  await assert.rejects(
    fetchCaCertificate({ ...options, port: bare.port, fingerprint: ca.fingerprint }),
    { code: 'unauthenticated' },
  )
})

test('does not take the right CA from a server it has not certified', async (t) => {
  const ca = await openTestCa(t)
  const foreign = await credentialsFor(await openTestCa(t), 'controller', 'coordinator-1')
  // It sends the genuine CA's certificate, which is public, after its own.
  const server = await startServer(t, ca, { credentials: { ...foreign, caPem: ca.certificatePem } })
  const { fingerprint } = ca
  await assert.rejects(
    fetchCaCertificate({ host: '127.0.0.1', port: server.port, fingerprint, timeoutMs: 5_000 }),
    { code: 'unauthenticated' },
  )
})

test('gives up on a server that is silent, absent, or no TLS server, saying which', async (t) => {
  const fingerprint = '0'.repeat(64)
  const silent = await listen(
    t,
    createTcpServer((socket) => t.after(() => socket.destroy())),
  )
  const fetch = (port: number, more: object = {}) =>
    fetchCaCertificate({ host: '127.0.0.1', port, fingerprint, timeoutMs: 100, ...more })
  await assert.rejects(fetch(silent), { code: 'deadline_exceeded' })
  const signal = AbortSignal.abort()
  await assert.rejects(fetch(silent, { signal, timeoutMs: 5_000 }), { code: 'cancelled' })
  const hungUp = await listen(
    t,
    createTcpServer((socket) => socket.destroy()),
  )
  await assert.rejects(fetch(hungUp, { timeoutMs: 5_000 }), { code: 'unavailable' })
  const ftp = await listen(
    t,
    createTcpServer((socket) => socket.end('220 hello\r\n')),
  )
  await assert.rejects(fetch(ftp, { timeoutMs: 5_000 }), { code: 'unavailable' })
  const closing = createTcpServer()
  const gone = await listen(t, closing)
  closing.close()
  await assert.rejects(fetch(gone, { timeoutMs: 5_000 }), {
    code: 'unavailable',
    message: /asking the coordinator at 127.0.0.1:\d+ for its CA/,
  })
})

test('says so when the CA is not a certificate', () => {
  assert.throws(() => createTrustAnchor('rubbish', 'cloudless'), { code: 'corrupt_data' })
})
