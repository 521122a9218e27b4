/** The real launcher as a process: it ends at once, fits pipes, and gives terminals back. */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { aNode, aReplica, aWorkload } from './testing/fake-state.ts'
import { startHarness, type Harness } from './testing/harness.ts'

const launcher = join(import.meta.dirname, '..', '..', '..', 'bin', 'cloudlessctl')
const deadlineMs = 20_000

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function launch(harness: Harness, words: readonly string[]): Promise<Ended> {
  const env = { ...process.env, CLOUDLESS_CONFIG: harness.configPath }
  try {
    const done = await promisify(execFile)(launcher, words, { env, timeout: deadlineMs })
    return { code: 0, ...done }
  } catch (reason) {
    return reason as Ended
  }
}

async function cluster(t: TestContext): Promise<Harness> {
  const harness = await startHarness(t)
  const web = aWorkload({ name: 'web' })
  harness.state.nodes.push(aNode({ name: 'a' }))
  harness.state.workloads.push(web)
  harness.state.replicas.push(aReplica(web, 'one'))
  return harness
}

test('the launcher prints, ends with the exit code, and keeps stdout clean', async (t) => {
  const harness = await cluster(t)
  const list = await launch(harness, ['node', 'list', '-o', 'name'])
  assert.deepEqual([list.code, list.stdout, list.stderr], [0, 'node/a\n', ''])
  const missing = await launch(harness, ['node', 'get', 'x'])
  assert.deepEqual(
    [missing.code, missing.stdout, missing.stderr],
    [3, '', 'There is no node "x".\n'],
  )
})

test('a reader that goes away early is no failure', async (t) => {
  const harness = await cluster(t)
  for (let n = 0; n < 500; n++) harness.state.nodes.push(aNode({ name: `node-${n}` }))
  const env = { ...process.env, CLOUDLESS_CONFIG: harness.configPath }
  const pipe = `"${launcher}" node list -o json | head -n 1`
  const { stdout, stderr } = await promisify(execFile)('sh', ['-c', pipe], {
    env,
    timeout: deadlineMs,
  })
  assert.deepEqual([stdout, stderr], ['{\n', ''])
})

test('Ctrl-C ends a watch with 130', async (t) => {
  const harness = await cluster(t)
  const env = { ...process.env, CLOUDLESS_CONFIG: harness.configPath }
  const child = spawn(launcher, ['node', 'list', '--watch'], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(child, 'exit', { signal: AbortSignal.timeout(deadlineMs) })
  await once(child.stdout, 'data', { signal: AbortSignal.timeout(deadlineMs) })
  child.kill('SIGINT')
  assert.deepEqual(await exited, [130, null])
})

test('exec -it on a real terminal is raw while it runs and as before when it ends', async (t) => {
  const harness = await cluster(t)
  const env = {
    ...process.env,
    CLOUDLESS_CONFIG: harness.configPath,
    LAUNCHER: launcher,
    TERM: 'xterm',
  }
  // util-linux's script gives the shell a terminal of its own; -e passes the exit code on.
  const inside = [
    'stty rows 33 cols 77',
    'before=$(stty -g)',
    '"$LAUNCHER" exec -it web -- sh',
    'echo "ended with $?"',
    '[ "$before" = "$(stty -g)" ] && echo restored',
    'exit 5',
  ].join('; ')
  const child = spawn('script', ['-qec', inside, '/dev/null'], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let shown = ''
  let answered = false
  const exited = once(child, 'exit', { signal: AbortSignal.timeout(deadlineMs) })
  const entered = once(harness.state.changes, 'exec', { signal: AbortSignal.timeout(deadlineMs) })
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString()
    if (answered || !shown.includes('got x')) return
    answered = true
    child.stdin.write('exit 7')
  })
  // Keys typed before raw mode would be echoed and wait for a line: wait for the session to be there.
  await entered
  child.stdin.write('x\u0003')
  const [code] = await exited
  assert.ok(shown.includes('got x\u0003'), 'Ctrl-C reaches the command as a key')
  assert.match(shown, /ended with 7/)
  assert.match(shown, /restored/)
  assert.equal(code, 5)
  assert.deepEqual(harness.agent.seen, ['start tty=true size=77x33'])
})
