/** Logs and commands in containers of agents that accept no connection at all. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, before, test } from 'node:test'
import {
  applyWorkload,
  cleanEnvironment,
  ctlProgram,
  startCluster,
  waitFor,
  waitForReady,
  type Cluster,
} from '@cloudless/test/testkit'

let cluster: Cluster

before(async () => {
  cluster = await startCluster({
    prefix: 'tlogs',
    subnet: '10.80.7',
    agents: ['a', 'b'].map((name) => ({ name, cpuCores: 2, memoryMb: 1024 })),
  })
  // From outside nothing can be opened to an agent's host.
  for (const name of ['a', 'b']) {
    const rule = ['-A', 'INPUT', '-i', 'eth0', '-p', 'tcp', '--syn', '-j', 'DROP']
    await cluster.agent(name).host.run(['iptables', '-w', '5', ...rule])
  }
  const count = 'n=0; while true; do n=$((n+1)); echo "line $n"; sleep 0.2; done'
  await applyWorkload(cluster, { name: 'talk', replicas: 2, command: ['/bin/sh', '-c', count] })
  await waitForReady(cluster, 'talk', 2)
})

after(() => cluster?.stop())

test('logs of all replicas come with the name of each, the newest when asked for', async () => {
  const output = await waitFor(
    async () => {
      const text = await cluster.ctl.text(['workload', 'logs', 'talk', '--tail', '2'])
      return text.trim().split('\n').length === 4 ? text : undefined
    },
    { what: 'two lines of each of two replicas' },
  )
  assert.equal(output.match(/line \d+/g)!.length, 4)
})

test('followed logs go on, and end when the follower does', async () => {
  const child = spawn(ctlProgram, ['workload', 'logs', 'talk', '-f', '--tail', '1'], {
    env: cleanEnvironment({ CLOUDLESS_CONFIG: cluster.configFile, NO_COLOR: '1' }),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  try {
    await waitFor(() => (output.match(/line \d+/g) ?? []).length > 10, { what: 'eleven lines' })
  } finally {
    child.kill('SIGINT')
  }
  await waitFor(() => child.exitCode !== null || child.signalCode !== null, { what: 'its end' })
})

test('a command runs in a container, and its output and exit code are ours', async () => {
  const run = (command: readonly string[]): ReturnType<typeof cluster.ctl.run> =>
    cluster.ctl.run(['workload', 'exec', 'talk', '--', ...command])
  const hello = await run(['sh', '-c', 'echo to-out; echo to-err >&2; exit 7'])
  assert.deepEqual(hello, { code: 7, stdout: 'to-out\n', stderr: 'to-err\n' })
  const [replica] = await waitForReady(cluster, 'talk', 2)
  const one = await cluster.ctl.run([
    ...['workload', 'exec', 'talk', '--replica', replica!.id, '--', 'hostname'],
  ])
  assert.equal(one.code, 0, one.stderr)
})

test('input is piped to a command, a megabyte and more', async () => {
  const input = 'x'.repeat(1_500_000)
  const counted = await cluster.ctl.run(['workload', 'exec', '-i', 'talk', '--', 'wc', '-c'], {
    input,
  })
  assert.equal(counted.stdout.trim(), String(input.length), counted.stderr)
})

test('what cannot be reached is said: no such workload, no such command', async () => {
  const nobody = await cluster.ctl.run(['workload', 'logs', 'nobody'])
  assert.equal(nobody.code, 3)
  assert.match(nobody.stderr, /nobody/)
  const nothing = await cluster.ctl.run(['workload', 'exec', 'talk', '--', 'no-such-command'])
  assert.notEqual(nothing.code, 0)
  assert.match(nothing.stderr, /no-such-command/)
})
