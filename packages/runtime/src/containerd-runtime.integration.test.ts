/** The runtime against a real containerd and runc. Needs root, containerd, runc, CNI plugins and busybox-static. */
import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { readFile, stat } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { join } from 'node:path'
import { systemClock } from '@cloudless/base'
import { buildImage, busyboxFiles } from '../../../test/testkit/image.ts'
import { freePort } from '../../../test/testkit/registry.ts'
import {
  createRuntimeFixture,
  eventually,
  logText,
  type RuntimeFixture,
} from './testing/runtime-fixture.ts'
import type { ContainerExit, ExecSession, RuntimeEvent } from './runtime.ts'

const shell = (script: string): { command: string[] } => ({ command: ['/bin/sh', '-c', script] })
const forever = shell('trap "exit 3" TERM; echo up; while :; do sleep 0.1; done')

describe('the containerd runtime', { timeout: 180_000 }, () => {
  let fixture: RuntimeFixture

  before(async () => {
    fixture = await createRuntimeFixture('rt-main', '10.249.11.0/24', {
      hostPathPrefixes: ['/tmp'],
    })
    const files = await busyboxFiles()
    const image = buildImage({ name: 'cloudless.local/busybox:1', ...files })
    await fixture.containerd.importImage(image.archive)
    const asUser = buildImage({
      name: 'cloudless.local/as-user:1',
      ...files,
      config: { User: 'web', Cmd: ['id'], Env: ['GREETING=hello'], WorkingDir: '/etc' },
    })
    await fixture.containerd.importImage(asUser.archive)
  })

  after(() => fixture.destroy())

  test('starts, describes, stops by SIGTERM and removes, leaving nothing', async () => {
    const { runtime } = fixture
    const request = fixture.request('life', forever)
    const info = await runtime.start(request)
    assert.match(info.address, /^10\.249\.11\./)
    assert.ok(info.pid > 1)
    assert.equal(info.state, 'running')
    assert.deepEqual(await runtime.get('life'), info)
    assert.deepEqual(await runtime.start(request), info)
    await eventually('its first line', async () =>
      (await logText(runtime, request.logPath)).length > 0 ? true : undefined,
    )
    const exit = await runtime.stop('life', 5_000)
    assert.equal(exit?.exitCode, 3)
    assert.ok(Math.abs((exit?.finishedAtMs ?? 0) - systemClock.wallMs()) < 20_000)
    assert.deepEqual(await runtime.stop('life', 5_000), exit)
    assert.equal((await runtime.get('life'))?.state, 'stopped')
    await runtime.remove('life')
    await runtime.remove('life')
    assert.equal(await runtime.get('life'), undefined)
    assert.equal(await runtime.stop('life', 0), undefined)
  })

  test('kills what does not heed SIGTERM after its grace', async () => {
    const { runtime } = fixture
    await runtime.start(fixture.request('deaf', shell('trap "" TERM; while :; do sleep 1; done')))
    assert.equal((await runtime.stop('deaf', 100))?.exitCode, 137)
    await runtime.remove('deaf')
  })

  test('starts a stopped container afresh, asking for its old address', async () => {
    const { runtime } = fixture
    const request = fixture.request('again', shell('echo x >> /mark; cat /mark; sleep 1000'))
    const first = await runtime.start(request)
    await runtime.stop('again', 0)
    const second = await runtime.start({ ...request, address: first.address })
    assert.equal(second.address, first.address)
    assert.notEqual(second.pid, first.pid)
    const lines = await eventually('both runs in the log', async () => {
      const text = await logText(runtime, request.logPath)
      return text.length === 2 ? text : undefined
    })
    assert.deepEqual(lines, ['stdout: x', 'stdout: x'], 'each run has a fresh layer')
    await runtime.remove('again')
  })

  test('tells why a command cannot be run', async () => {
    const { runtime } = fixture
    const start = (id: string, command: string[]): Promise<unknown> =>
      runtime.start(fixture.request(id, { command }))
    await assert.rejects(start('nope', ['/nope']), {
      code: 'failed_precondition',
      message: /the command "\/nope" is not in the image cloudless.local\/busybox:1/,
    })
    await assert.rejects(start('nopath', ['nope']), { message: /"nope" is not in the image/ })
    await assert.rejects(start('noexec', ['/etc/passwd']), { message: /is not executable/ })
    const user = fixture.request('nouser', { ...forever, image: 'cloudless.local/busybox:1' })
    user.spec.workingDir = '/etc/passwd'
    await assert.rejects(runtime.start(user), { message: /working directory/ })
    await assert.rejects(runtime.start(fixture.request('noimage', { image: 'absent:1' })), {
      code: 'not_found',
    })
    const left = (await runtime.list()).filter(({ containerId }) => containerId.startsWith('no'))
    assert.deepEqual(left, [])
  })

  test('runs as the image says: user by name, groups, environment, directory', async () => {
    const { runtime } = fixture
    const script =
      'id -u; id -G; echo $GREETING $OWN $HOSTNAME; pwd; cat /etc/hostname; grep Cap /proc/self/status'
    const request = fixture.request('user', {
      image: 'cloudless.local/as-user:1',
      ...shell(script),
      env: { OWN: 'mine' },
    })
    await runtime.start(request)
    const lines = await eventually('its output', async () => {
      const text = await logText(runtime, request.logPath)
      return text.length >= 10 ? text : undefined
    })
    assert.deepEqual(lines.slice(0, 5), [
      'stdout: 1000',
      'stdout: 1000 2000',
      'stdout: hello mine user',
      'stdout: /etc',
      'stdout: user',
    ])
    assert.ok(lines.includes('stdout: CapEff:\t0000000000000000'), lines.join('\n'))
    await runtime.remove('user')
  })

  test('enforces limits of CPU, memory and processes in the kernel', async () => {
    const { runtime, containerd } = fixture
    await runtime.start(
      fixture.request('limits', {
        ...forever,
        resources: {
          limits: { cpuMillicores: 250, memoryBytes: 32n * 1024n * 1024n },
          requests: { cpuMillicores: 100 },
          pidsLimit: 50,
        },
      }),
    )
    const read = (controller: string, file: string): Promise<string> =>
      readFile(join('/sys/fs/cgroup', controller, containerd.cgroupParent, 'limits', file), 'utf8')
    assert.equal((await read('cpu', 'cpu.cfs_quota_us')).trim(), '25000')
    assert.equal((await read('cpu', 'cpu.shares')).trim(), '102')
    assert.equal((await read('memory', 'memory.limit_in_bytes')).trim(), String(32 * 1024 * 1024))
    assert.equal((await read('pids', 'pids.max')).trim(), '50')
    const usage = (await runtime.usage()).find(({ containerId }) => containerId === 'limits')
    assert.equal(usage?.memoryLimitBytes, 32 * 1024 * 1024)
    assert.ok(usage!.cpuTotalUs > 0 && usage!.pids >= 1 && usage!.memoryBytes > 0)
    await runtime.remove('limits')
  })

  test('says that a container was killed for its memory', async () => {
    const { runtime } = fixture
    const ended = nextExit(fixture, 'hungry')
    await runtime.start(
      fixture.request('hungry', {
        ...shell('x=a; while :; do x=$x$x; done'),
        resources: { limits: { memoryBytes: 16n * 1024n * 1024n } },
      }),
    )
    const exit = await ended
    assert.equal(exit.exitCode, 137)
    assert.equal(exit.oomKilled, true)
    assert.equal((await runtime.stop('hungry', 0))?.oomKilled, true)
    await runtime.remove('hungry')
  })

  test('mounts volumes, and refuses host paths that are not allowed', async () => {
    const { runtime, containerd } = fixture
    const volume = (name: string, source: string, options: Record<string, string>): object => ({
      name,
      source,
      mountPath: `/v/${name}`,
      options,
    })
    const request = fixture.request('volumes', {
      ...shell(
        'cat /v/conf/a.txt; echo kept >> /v/empty/f; cat /v/empty/f; df /v/mem | tail -1; sleep 1000',
      ),
      volumes: [
        volume('conf', 'configMap', { 'a.txt': 'hello\n' }),
        volume('empty', 'emptyDir', {}),
        volume('mem', 'emptyDir', { medium: 'memory', size_bytes: '1048576' }),
        volume('host', 'hostPath', { path: containerd.directory }),
      ] as never,
    })
    await runtime.start(request)
    await eventually('output of the first run', async () =>
      (await logText(runtime, request.logPath)).length >= 3 ? true : undefined,
    )
    await runtime.stop('volumes', 0)
    await runtime.start(request)
    const lines = await eventually('output of both runs', async () => {
      const text = await logText(runtime, request.logPath)
      return text.length >= 6 ? text : undefined
    })
    assert.deepEqual(lines.slice(0, 2), ['stdout: hello', 'stdout: kept'])
    assert.match(lines[2]!, /tmpfs\s+1024/)
    assert.deepEqual(lines.slice(4, 6), ['stdout: kept', 'stdout: kept'], 'it outlives a restart')
    await runtime.remove('volumes')
    assert.equal(existsSync(request.volumeDirectory), false)
    const refused = fixture.request('refused', {
      ...forever,
      volumes: [volume('host', 'hostPath', { path: '/etc' })] as never,
    })
    await assert.rejects(runtime.start(refused), {
      code: 'permission_denied',
      message: /host_path_prefixes/,
    })
    const privileged = fixture.request('privileged', {
      ...forever,
      securityContext: { privileged: true },
    })
    await assert.rejects(runtime.start(privileged), { message: /allow_privileged/ })
  })

  test('lets containers reach each other', async () => {
    const { runtime } = fixture
    const server = await runtime.start(fixture.request('server', forever))
    await runtime.start(fixture.request('client', forever))
    const ping = await runtime.exec(
      'client',
      command(['ping', '-c', '1', '-W', '5', server.address]),
    )
    assert.match(await allOutput(ping), /1 packets received/)
    assert.equal(await ping.exitCode, 0)
    await Promise.all([runtime.remove('server'), runtime.remove('client')])
  })

  test("forwards the node's ports, and frees them", async () => {
    const { runtime } = fixture
    const port = await freePort()
    const ports = [{ containerPort: 8080, hostPort: port }]
    const serve = shell('echo served > /index.html; exec httpd -f -p 8080 -h /')
    const { address } = await runtime.start(
      fixture.request('ports', { ...serve, ports: ports as never }),
    )
    const get = async (host: string): Promise<string | undefined> => {
      const signal = AbortSignal.timeout(2_000)
      const answer = await fetch(`http://${host}/index.html`, { signal }).catch(() => undefined)
      return answer?.text()
    }
    assert.equal(await eventually('the server', () => get(`${address}:8080`)), 'served\n')
    assert.equal(await get(`127.0.0.1:${port}`), 'served\n')
    await runtime.remove('ports')
    assert.equal(await get(`127.0.0.1:${port}`), undefined)
    const { stdout } = await promisify(execFile)('iptables', ['-t', 'nat', '-S'])
    assert.ok(!stdout.includes(`--dport ${port} `), stdout)
  })

  test('executes commands: output apart, input, exit code, failure', async () => {
    const { runtime } = fixture
    await runtime.start(fixture.request('exec', { ...forever, env: { OWN: 'mine' } }))
    const both = await runtime.exec(
      'exec',
      command(['sh', '-c', 'echo out $OWN; echo err >&2; exit 7']),
    )
    const chunks: Record<string, string> = { stdout: '', stderr: '' }
    for await (const { stream, data } of both.output) chunks[stream] += Buffer.from(data).toString()
    assert.deepEqual(chunks, { stdout: 'out mine\n', stderr: 'err\n' })
    assert.equal(await both.exitCode, 7)

    const wc = await runtime.exec('exec', { ...command(['wc', '-c']), stdin: true })
    const block = new Uint8Array(256 * 1024)
    for (let n = 0; n < 8; n++) await wc.write(block)
    await wc.closeStdin()
    assert.equal((await allOutput(wc)).trim(), String(2 * 1024 * 1024))
    assert.equal(await wc.exitCode, 0)

    await assert.rejects(runtime.exec('exec', command(['/nope'])), {
      code: 'failed_precondition',
      message: /"\/nope" is not in the image/,
    })
    const before = systemClock.monotonicMs()
    for (let n = 0; n < 5; n++) {
      const silent = await runtime.exec('exec', command(['true']))
      assert.equal(await silent.exitCode, 0)
      await silent.close()
    }
    assert.ok(systemClock.monotonicMs() - before < 4_000, 'a silent end is noticed at once')
    const endless = await runtime.exec('exec', command(['sleep', '1000']))
    await endless.close()
    await endless.close()
    assert.equal(await endless.exitCode, 137)
    await runtime.remove('exec')
    await assert.rejects(runtime.exec('exec', command(['true'])), { code: 'not_found' })
  })

  test('executes on a terminal that can be resized', async () => {
    const { runtime } = fixture
    await runtime.start(fixture.request('tty', forever))
    const session = await runtime.exec('tty', {
      ...command(['sh']),
      tty: true,
      stdin: true,
      size: { columns: 80, rows: 24 },
    })
    let text = ''
    const reading = (async () => {
      for await (const { data } of session.output) text += Buffer.from(data).toString()
    })()
    const type = async (line: string, answer: RegExp): Promise<void> => {
      await session.write(Buffer.from(`${line}\n`))
      await eventually(`${line} in ${text}`, async () => (answer.test(text) ? true : undefined))
    }
    await type('stty size', /24 80/)
    await session.resize(120, 40)
    await type('stty size', /40 120/)
    await type('tty', /\/dev\/pts\/\d/)
    await session.write(Buffer.from('exit 5\n'))
    assert.equal(await session.exitCode, 5)
    await reading
    await session.close()
    await runtime.remove('tty')
  })

  test('keeps the output written while no agent was there, each line once', async () => {
    const request = fixture.request(
      'chatty',
      shell('n=0; while :; do n=$((n+1)); echo line $n; sleep 0.02; done'),
    )
    await fixture.runtime.start(request)
    const count = async (): Promise<number> =>
      (await logText(fixture.runtime, request.logPath)).length
    for (let round = 1; round <= 3; round++) {
      const before = await count()
      await eventually('more lines', async () => ((await count()) > before + 10 ? true : undefined))
      await fixture.restart()
    }
    assert.equal((await fixture.runtime.get('chatty'))?.state, 'running')
    await fixture.runtime.stop('chatty', 0)
    await fixture.runtime.remove('chatty')
    const lines = await logText(fixture.runtime, request.logPath)
    assert.deepEqual(
      lines,
      lines.map((_, n) => `stdout: line ${n + 1}`),
    )
  })

  test('bounds the disk that a flood of output takes', async () => {
    const { runtime, containerd } = fixture
    const request = fixture.request(
      'flood',
      shell(
        'yes 0123456789012345678901234567890123456789 | head -c 150000000; echo end; sleep 1000',
      ),
    )
    await runtime.start(request)
    await eventually(
      'the end of the flood',
      async () => {
        const last = (await logText(runtime, request.logPath, 1)).at(-1)
        return last?.endsWith('end') ? true : undefined
      },
      60_000,
    )
    const raw = join(containerd.directory, 'runtime', 'output', 'flood.stdout')
    const { blocks } = await stat(raw)
    assert.ok(blocks * 512 < 16 * 1024 * 1024, `${blocks * 512} bytes of raw output are kept`)
    await runtime.remove('flood')
  })

  test('survives the loss of containerd: containers run on, events come again', async () => {
    const { runtime, containerd } = fixture
    const stop = new AbortController()
    const seen: RuntimeEvent[] = []
    const watching = (async () => {
      for await (const event of runtime.events(stop.signal)) seen.push(event)
    })()
    const { pid } = await runtime.start(fixture.request('lasting', forever))
    await containerd.kill()
    await eventually('word of it', async () =>
      seen.some(({ kind }) => kind === 'unavailable') ? true : undefined,
    )
    await assert.rejects(runtime.version(), { code: 'unavailable' })
    await assert.rejects(runtime.start(fixture.request('cannot', forever)), { code: 'unavailable' })
    assert.ok(existsSync(`/proc/${pid}`))
    await containerd.start()
    await eventually('reconnection', async () =>
      seen.some(({ kind }) => kind === 'reconnected') ? true : undefined,
    )
    const found = (await runtime.list()).find(({ containerId }) => containerId === 'lasting')
    assert.equal(found?.pid, pid)
    assert.equal(found?.state, 'running')
    process.kill(pid, 'SIGKILL')
    await eventually(
      'its exit',
      async () =>
        seen.some((event) => event.kind === 'exit' && event.exit.containerId === 'lasting') ||
        undefined,
    )
    stop.abort()
    await watching
    await runtime.remove('lasting')
  })

  test('starts again what ran before a reboot, under its old address', async () => {
    const request = fixture.request('rebooted', shell('echo up; sleep 1000'))
    const before = await fixture.runtime.start(request)
    await eventually('its output', async () =>
      (await logText(fixture.runtime, request.logPath)).length > 0 ? true : undefined,
    )
    await fixture.containerd.powerCut()
    await fixture.containerd.start()
    const runtime = await fixture.restart()
    const found = await runtime.get('rebooted')
    assert.equal(found?.state, 'stopped')
    assert.equal(found?.exitCode, 255)
    const after = await runtime.start({ ...request, address: before.address })
    assert.equal(after.address, before.address)
    await eventually('its output again', async () =>
      (await logText(runtime, request.logPath)).length === 2 ? true : undefined,
    )
    await runtime.remove('rebooted')
  })
})

function command(words: readonly string[]) {
  return { command: words, env: {}, workingDir: '', tty: false, stdin: false } as const
}

async function allOutput(session: ExecSession): Promise<string> {
  let text = ''
  for await (const { data } of session.output) text += Buffer.from(data).toString()
  return text
}

async function nextExit(fixture: RuntimeFixture, containerId: string): Promise<ContainerExit> {
  const signal = AbortSignal.timeout(20_000)
  for await (const event of fixture.runtime.events(signal)) {
    if (event.kind === 'exit' && event.exit.containerId === containerId) return event.exit
  }
  throw new Error(`no exit of ${containerId} was seen`)
}
