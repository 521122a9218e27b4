import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { get, type RequestOptions } from 'node:https'
import { createServer, connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { systemClock, type CloudlessError } from '@cloudless/base'
import { memberServerName } from './flags.ts'
import { namesOf } from './member-options.ts'
import { createTestCa } from './test-ca.ts'
import { put, until, withMembers, type TestMembers } from './testing.ts'

const timeout = 120_000
const supervisor = fileURLToPath(new URL('./orphan-child.ts', import.meta.url))

describe('a member of etcd', { timeout }, () => {
  const onMembers = (property: string, check: (members: TestMembers) => Promise<void>): void =>
    void it(property, () => withMembers(check))

  onMembers('is started, serves the metadata store, and tells how it is', async (members) => {
    const options = await members.prepare('m1', { kind: 'new' })
    const member = await members.start(options)
    const written = await member.store.transact({ writes: [put('a')] })
    assert.equal(written.kind, 'committed')
    assert.equal((await member.store.get('a'))?.key, 'a')
    const status = member.status()
    assert.equal(status.leaderId, status.memberId)
    assert.equal(status.isLearner, false)
    assert.ok(status.diskFreeBytes > 0)
    assert.ok(status.databaseBytes > 0)
    assert.equal(member.version, status.version)
    assert.deepEqual(member.state, { kind: 'running' })
    // What is sent to our own group, as by Ctrl-C, does not reach it.
    assert.equal(fieldsOfStat(member.pid!)[2], String(member.pid))
    const observedMs = status.observedMs
    await until('another look', () => member.status().observedMs > observedMs)
    for (const path of ['', 'tls', 'etcd', 'etcd/member']) {
      const { mode } = statSync(join(options.dataDirectory, path))
      assert.equal(mode & 0o777, 0o700, path)
    }
    assert.equal(statSync(join(options.dataDirectory, 'tls', 'member.pem')).mode & 0o777, 0o600)
  })

  onMembers('ends a process that hangs, starts it again, and has lost nothing', async (members) => {
    const options = await members.prepare('m1', { kind: 'new' })
    const member = await members.start({ ...options, silenceMsMax: 1_000 })
    await member.store.transact({ writes: [put('a')] })
    const hung = member.pid!
    process.kill(hung, 'SIGSTOP')
    await until('another process', () => member.pid !== undefined && member.pid !== hung)
    await until('it to serve', () => member.state.kind === 'running')
    assert.equal((await member.store.get('a'))?.key, 'a')
    assert.ok(members.logged.some((line) => /^error etcd has not answered for \d+ s/.test(line)))
  })

  onMembers('lets in nobody but members: no stranger, no agent, no plain text', async (members) => {
    const options = await members.prepare('m1', { kind: 'new' })
    const { endpoint, tls } = await members.start(options)
    const names = { dnsNames: ['laptop'], ipAddresses: ['127.0.0.1'] }
    const agent = members.ca.issue(names)
    const stranger = createTestCa(join(members.directory, 'other-ca')).issue({
      ...names,
      dnsNames: [memberServerName],
    })
    const others = {
      agent: { cert: agent.certificatePem, key: agent.keyPem },
      stranger: { cert: stranger.certificatePem, key: stranger.keyPem },
      nobody: {},
    }
    for (const address of [endpoint, `https://${options.peerAddress}`]) {
      assert.equal(await statusOf(`${address}/version`, tls), 200)
      for (const [who, credentials] of Object.entries(others)) {
        const asked = statusOf(`${address}/version`, { ca: tls.ca, ...credentials })
        await assert.rejects(asked, `${who} at ${address}`)
      }
      const { hostname, port } = new URL(address)
      const socket = connect({ host: hostname, port: Number(port) })
      socket.write('GET /v2/keys HTTP/1.1\r\nHost: etcd\r\n\r\n')
      let answer = ''
      socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')))
      await once(socket, 'close')
      assert.doesNotMatch(answer, /200 OK|etcd/)
    }
  })

  onMembers('comes back with its data when it is killed', async (members) => {
    const member = await members.start(await members.prepare('m1', { kind: 'new' }))
    await member.store.transact({ writes: [put('a')] })
    for (let round = 0; round < 2; round++) {
      const before = member.pid!
      process.kill(before, 'SIGKILL')
      await until('another process', () => member.pid !== before && isRunning(member))
      assert.equal((await member.store.get('a'))?.key, 'a')
    }
    assert.deepEqual(
      member.states.map(({ kind }) => kind),
      ['restarting', 'running', 'restarting', 'running'],
    )
    assert.ok(members.logged.some((line) => /started again: .*SIGKILL/.test(line)))
  })

  onMembers(
    'ends the etcd of a coordinator that was killed, and not of a live one',
    async (members) => {
      const options = await members.prepare('m1', { kind: 'new' })
      const issued = members.ca.issue(namesOf(options))
      const optionsPath = join(members.directory, 'options.json')
      writeFileSync(optionsPath, JSON.stringify({ ...options, issued }))
      const other = spawn(process.execPath, [supervisor, optionsPath], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const ended = once(other, 'exit')
      try {
        const [line] = (await once(createInterface({ input: other.stdout }), 'line')) as [string]
        const orphan = Number(line)
        await assert.rejects(members.start(options), {
          code: 'failed_precondition',
          message: new RegExp(`process ${orphan} runs it already, and process ${other.pid} looks`),
        })
        other.kill('SIGKILL')
        await ended
        assert.ok(isAlive(orphan))
        const member = await members.start(options)
        assert.notEqual(member.pid, orphan)
        assert.equal(isAlive(orphan), false)
      } finally {
        other.kill('SIGKILL')
        await ended
      }
    },
  )

  onMembers('is the same member when it is closed and started again', async (members) => {
    const options = await members.prepare('m1', { kind: 'new' })
    const first = await members.start(options)
    await first.store.transact({ writes: [put('a')] })
    const { memberId } = first.status()
    await first.close()
    assert.deepEqual(first.state, { kind: 'closed' })
    const second = await members.start({ ...options, initial: { kind: 'join', members: [] } })
    assert.equal(second.status().memberId, memberId)
    assert.equal((await second.store.get('a'))?.key, 'a')
  })

  onMembers('goes on while its certificates are renewed, past their end', async (members) => {
    const lifetimeMs = 3_000
    const member = await members.start({
      ...(await members.prepare('m1', { kind: 'new' })),
      credentials: async (names) => members.ca.issue(names, lifetimeMs),
    })
    const untilMs = systemClock.monotonicMs() + 3 * lifetimeMs
    let count = 0
    for (; systemClock.monotonicMs() < untilMs; count++) {
      await member.store.transact({ writes: [put(`k${count % 10}`)] })
    }
    assert.ok(members.ca.issued >= 3, `${members.ca.issued} certificates`)
    // The certificate of the first connection ran out long ago; another is made with the present one.
    process.kill(member.pid!, 'SIGKILL')
    await until('a restart', () => member.states.length > 1 && isRunning(member))
    await member.store.transact({ writes: [put('z')] })
  })

  onMembers('says when its database is full, and when that is over', async (members) => {
    const quotaBytes = 8 * 1024 * 1024
    const options = { ...(await members.prepare('m1', { kind: 'new' })), quotaBytes }
    const member = await members.start(options)
    const value = new Uint8Array(512 * 1024).fill(7)
    const fill = async (): Promise<void> => {
      for (let n = 0; n < 100; n++) {
        await member.store.transact({ writes: [{ kind: 'put', key: 'k', value }] })
      }
    }
    await assert.rejects(fill, { details: { alarm: 'NOSPACE' } })
    const { memberId } = member.status()
    await until('the alarm', () => member.alarms.length === 1)
    assert.deepEqual(member.alarms[0], { change: 'raised', kind: 'NOSPACE', memberId })
    assert.deepEqual(await member.cluster.alarms(), [{ kind: 'NOSPACE', memberId }])
    await member.store.compact((await member.store.list('')).revision)
    await member.cluster.defragment()
    for (const alarm of await member.cluster.alarms()) await member.cluster.disarm(alarm)
    await until('the end of the alarm', () => member.alarms.length === 2)
    assert.deepEqual(member.alarms[1], { change: 'cleared', kind: 'NOSPACE', memberId })
    await member.store.transact({ writes: [put('a')] })
  })

  onMembers('says what keeps it from starting, and what to do', async (members) => {
    const options = await members.prepare('m1', { kind: 'new' })
    const old = join(members.directory, 'old-etcd')
    writeFileSync(old, '#!/bin/sh\necho "etcd Version: 3.3.25"\n', { mode: 0o755 })
    const taken = createServer().listen(Number(options.clientAddress.split(':')[1]), '127.0.0.1')
    await once(taken, 'listening')
    const attempts = [
      [{ binary: '/nowhere/etcd' }, /\/nowhere\/etcd is not there.*apt-get install etcd-server/],
      [{ binary: old }, /is etcd 3\.3\.25, and .* needs 3\.4 or later/],
      [{}, new RegExp(`${options.clientAddress} is in use by another program`)],
      [{ initial: { kind: 'recover' } }, /no member has stored anything there/],
    ] as const
    try {
      for (const [difference, message] of attempts) {
        await assert.rejects(members.start({ ...options, ...difference }), (reason) => {
          assert.equal((reason as CloudlessError).code, 'failed_precondition')
          assert.match((reason as CloudlessError).message, message)
          return true
        })
      }
    } finally {
      taken.close()
    }
    await assert.rejects(members.start({ ...options, clientAddress: '0.0.0.0:2379' }), {
      code: 'invalid_argument',
      message: /no address of this machine only/,
    })
  })

  onMembers('gives up a start that takes too long, and leaves nothing running', async (members) => {
    const nobody = { name: 'other', peerAddress: '127.0.0.1:1' }
    const options = await members.prepare('m1', { kind: 'join', members: [nobody] })
    await assert.rejects(members.start({ ...options, startMsMax: 500 }), (reason) => {
      assert.equal((reason as CloudlessError).code, 'unavailable')
      return true
    })
    await members.start({ ...options, initial: { kind: 'new' } })
  })
})

function isRunning(member: { readonly state: { readonly kind: string } }): boolean {
  return member.state.kind === 'running'
}

/** From the third on: state, parent, process group and more. */
function fieldsOfStat(pid: number): string[] {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
}

/** One that has ended and was not yet taken note of has no command line any more. */
function isAlive(pid: number): boolean {
  const path = `/proc/${pid}/cmdline`
  return existsSync(path) && readFileSync(path, 'utf8') !== ''
}

/** Rejects when no connection comes about. */
function statusOf(
  url: string,
  tls: Pick<RequestOptions, 'ca' | 'cert' | 'key'>,
): Promise<number | undefined> {
  const { ca, cert, key } = tls
  return new Promise((resolve, reject) => {
    get(url, { ca, cert, key, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    }).once('error', reject)
  })
}
