import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { seededRandom, systemClock } from '@cloudless/base'
import {
  loadCredentials,
  loadPendingEnrolment,
  saveCredentials,
  savePendingEnrolment,
  setCredentialsAside,
} from './credentials.ts'
import { createCsr, createKey } from './key-and-csr.ts'
import { credentialsFor, day, openTestCa, temporaryDirectory } from './testing.ts'

test('gives back what was saved, with what the certificate says', async (t) => {
  const ca = await openTestCa(t)
  const directory = join(temporaryDirectory(t), 'identity')
  assert.equal(loadCredentials(directory), undefined)
  const saved = await credentialsFor(ca, 'node', 'node-a')
  saveCredentials(seededRandom(1), directory, saved)
  const loaded = loadCredentials(directory)
  assert.ok(loaded)
  assert.deepEqual(
    { keyPem: loaded.keyPem, certificatePem: loaded.certificatePem, caPem: loaded.caPem },
    saved,
  )
  assert.equal(loaded.id, 'node-a')
  assert.equal(loaded.spiffeId.type, 'node')
  assert.ok(loaded.notAfterMs > systemClock.wallMs())
})

test('keeps one set, readable by its owner only', async (t) => {
  const ca = await openTestCa(t)
  const directory = join(temporaryDirectory(t), 'identity')
  const random = seededRandom(1)
  for (const id of ['first', 'second', 'third']) {
    saveCredentials(random, directory, await credentialsFor(ca, 'node', id))
    assert.equal(loadCredentials(directory)?.id, id)
  }
  assert.equal(readdirSync(join(directory, 'sets')).length, 1)
  assert.equal(statSync(directory).mode & 0o777, 0o700)
  const current = join(directory, 'current')
  assert.deepEqual(readdirSync(current).toSorted(), ['ca.pem', 'cert.pem', 'key.pem'])
  for (const name of readdirSync(current)) {
    assert.equal(statSync(join(current, name)).mode & 0o777, 0o600)
  }
})

/** A module for --import that exits, as kill -9 would, before the nth change to a file or directory. */
const killer = `
  import fs from 'node:fs'
  import { syncBuiltinESMExports } from 'node:module'
  let left = Number(process.env.KILL_BEFORE)
  for (const name of ['mkdirSync', 'openSync', 'writeSync', 'fsyncSync', 'renameSync', 'symlinkSync', 'rmSync']) {
    const original = fs[name]
    fs[name] = (...given) => {
      if (process.env.ARMED && left-- === 0) process.kill(process.pid, 'SIGKILL')
      return original(...given)
    }
  }
  syncBuiltinESMExports()
`

test('leaves the old set or the new one, whichever change the crash comes before', async (t) => {
  const ca = await openTestCa(t)
  const parent = temporaryDirectory(t)
  const original = join(parent, 'original')
  saveCredentials(seededRandom(1), original, await credentialsFor(ca, 'node', 'old'))
  writeFileSync(join(parent, 'new.json'), JSON.stringify(await credentialsFor(ca, 'node', 'new')))
  writeFileSync(join(parent, 'killer.mjs'), killer)
  writeFileSync(
    join(parent, 'save.ts'),
    `import { readFileSync } from 'node:fs'
     import { saveCredentials } from ${JSON.stringify(join(import.meta.dirname, 'credentials.ts'))}
     const credentials = JSON.parse(readFileSync(process.argv[3]!, 'utf8'))
     process.env['ARMED'] = '1'
     saveCredentials({ next: () => 0.5 }, process.argv[2]!, credentials)`,
  )
  const seen: string[] = []
  for (let killBefore = 0; killBefore < 100; killBefore++) {
    const directory = join(parent, 'work')
    rmSync(directory, { recursive: true, force: true })
    cpSync(original, directory, { recursive: true, verbatimSymlinks: true })
    const run = spawnSync(
      process.execPath,
      [
        '--import',
        join(parent, 'killer.mjs'),
        join(parent, 'save.ts'),
        directory,
        join(parent, 'new.json'),
      ],
      { env: { ...process.env, KILL_BEFORE: String(killBefore) }, timeout: 20_000 },
    )
    seen.push(loadCredentials(directory)!.id)
    saveCredentials(seededRandom(9), directory, await credentialsFor(ca, 'node', 'next'))
    assert.equal(loadCredentials(directory)?.id, 'next')
    assert.equal(readdirSync(join(directory, 'sets')).length, 1)
    if (run.signal === null) {
      assert.equal(run.status, 0, run.stderr.toString())
      break
    }
  }
  assert.ok(seen.length > 15, `only ${seen.length} changes were seen`)
  const turn = seen.indexOf('new')
  assert.ok(turn > 10, 'the new set was there from the start')
  assert.deepEqual(new Set(seen.slice(0, turn)), new Set(['old']))
  assert.deepEqual(new Set(seen.slice(turn)), new Set(['new']))
})

test('refuses parts that do not belong together', async (t) => {
  const ca = await openTestCa(t)
  const directory = join(temporaryDirectory(t), 'identity')
  const good = await credentialsFor(ca, 'node', 'node-a')
  const other = await credentialsFor(await openTestCa(t), 'node', 'node-a')
  const cases: readonly [object, RegExp][] = [
    [{ keyPem: await createKey() }, /certificate is not of the key/],
    [{ caPem: other.caPem }, /certificate is not of the CA/],
    [{ certificatePem: 'rubbish' }, /cannot be used/],
    [{ keyPem: 'rubbish' }, /cannot be used/],
  ]
  for (const [change, message] of cases) {
    saveCredentials(seededRandom(1), directory, { ...good, ...change })
    assert.throws(() => loadCredentials(directory), { code: 'corrupt_data', message })
    rmSync(directory, { recursive: true })
  }
  saveCredentials(seededRandom(1), directory, good)
  rmSync(join(directory, 'current', 'key.pem'))
  assert.throws(() => loadCredentials(directory), { code: 'corrupt_data', message: /ENOENT/ })
})

test('refuses a certificate that names no identity', async (t) => {
  const ca = await openTestCa(t)
  const directory = temporaryDirectory(t)
  // The CA's own certificate is of its own key and its own issue, and names nobody.
  const keyPem = await createKey()
  const { loadX509, signingAlgorithm } = await import('./x509-library.ts')
  const { importKeyPair } = await import('./key-and-csr.ts')
  const x509 = await loadX509()
  const self = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=nobody',
    notBefore: new Date(systemClock.wallMs()),
    notAfter: new Date(systemClock.wallMs() + day),
    signingAlgorithm,
    keys: await importKeyPair(keyPem),
  })
  const pem = self.toString('pem')
  saveCredentials(seededRandom(1), directory, { keyPem, certificatePem: pem, caPem: pem })
  assert.throws(() => loadCredentials(directory), { message: /names no identity/ })
  assert.ok(ca)
})

test('puts the credentials of an ended membership aside and can join anew', async (t) => {
  const ca = await openTestCa(t)
  const directory = join(temporaryDirectory(t), 'identity')
  setCredentialsAside(directory) // There is nothing yet: nothing happens.
  assert.equal(existsSync(directory), false)
  saveCredentials(seededRandom(1), directory, await credentialsFor(ca, 'node', 'first'))
  setCredentialsAside(directory)
  assert.equal(loadCredentials(directory), undefined)
  assert.ok(existsSync(join(directory, 'aside', 'key.pem')))
  saveCredentials(seededRandom(2), directory, await credentialsFor(ca, 'node', 'second'))
  assert.equal(loadCredentials(directory)?.id, 'second')
  assert.ok(existsSync(join(directory, 'aside', 'key.pem')))
})

test('remembers an enrolment under way until its answer is stored', async (t) => {
  const ca = await openTestCa(t)
  const directory = join(temporaryDirectory(t), 'identity')
  assert.equal(loadPendingEnrolment(directory, 'jt-a'), undefined)
  const keyPem = await createKey()
  const csrPem = await createCsr(keyPem)
  const pending = { keyPem, csrPem, idempotencyKey: 'abc', tokenId: 'jt-a' }
  savePendingEnrolment(directory, pending)
  assert.deepEqual(loadPendingEnrolment(directory, 'jt-a'), pending)
  assert.equal(loadPendingEnrolment(directory, 'jt-b'), undefined)
  saveCredentials(seededRandom(1), directory, await credentialsFor(ca, 'node', 'node-a'))
  assert.equal(loadPendingEnrolment(directory, 'jt-a'), undefined)
  writeFileSync(join(directory, 'pending.json'), '{"keyPem": 7}')
  assert.equal(loadPendingEnrolment(directory, 'jt-a'), undefined)
})
