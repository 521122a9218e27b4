import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { CloudlessError, seededRandom, type Clock } from '@cloudless/base'
import { keepMemberCertificate } from './certificate.ts'

describe('the certificate of a member', () => {
  it('is replaced on disk and for new connections, also when it could not be for a while', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'cloudless-etcd-certificate-'))
    const waits: { readonly delayMs: number; readonly fire: () => void }[] = []
    const clock: Clock = {
      monotonicMs: () => 0,
      wallMs: () => 0,
      after: (delayMs, fire) => {
        waits.push({ delayMs, fire })
        return () => undefined
      },
    }
    /** What was waited for comes; resolves when something is waited for again. */
    const pass = async (): Promise<number> => {
      const { delayMs, fire } = waits.shift()!
      fire()
      for (let n = 0; n < 20 && waits.length === 0; n++) await Promise.resolve()
      return delayMs
    }
    const logged: string[] = []
    let asked = 0
    let isDue = false
    let isDown = false
    try {
      const kept = await keepMemberCertificate(
        { clock, random: seededRandom(1), log: (_level, message) => logged.push(message) },
        {
          directory: join(directory, 'tls'),
          names: { dnsNames: ['a'], ipAddresses: [] },
          planRenewal: () => (isDue ? { kind: 'renew' } : { kind: 'wait', delayMs: 60_000 }),
          credentials: async () => {
            if (isDown) throw new CloudlessError('unavailable', 'no CA')
            const n = ++asked
            isDue = false
            return {
              keyPem: `key ${n}`,
              certificatePem: `certificate ${n}\n`,
              ...{ caPem: 'ca', notBeforeMs: 0, notAfterMs: 1 },
            }
          },
        },
      )
      const onDisk = (): string => readFileSync(kept.pairPath, 'utf8')
      assert.equal(onDisk(), 'certificate 1\nkey 1')
      assert.equal(await pass(), 0)
      isDue = isDown = true
      assert.equal(await pass(), 60_000)
      assert.deepEqual(logged, ['renewing the certificate of etcd failed: no CA'])
      assert.equal(kept.tls.cert, 'certificate 1\n')
      isDown = false
      assert.equal(await pass(), 5_000)
      assert.equal(onDisk(), 'certificate 2\nkey 2')
      assert.deepEqual([kept.tls.cert, kept.tls.key], ['certificate 2\n', 'key 2'])
      kept.stop()
      await pass()
      assert.equal(waits.length, 0)
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})
