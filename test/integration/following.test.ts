/** Logs that are followed and commands that run while what they look at restarts, is replaced or goes away. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { after, afterEach, before, test } from 'node:test'
import {
  applyWorkload,
  cleanEnvironment,
  ctlProgram,
  startCluster,
  waitFor,
  waitForReplicas,
  type Cluster,
  type ReplicaView,
} from '@cloudless/test/testkit'

let cluster: Cluster
let open: ChildProcess[] = []

before(async () => {
  cluster = await startCluster({
    prefix: 'tfollow',
    subnet: '10.80.22',
    agents: ['a', 'b'].map((name) => ({ name, cpuCores: 2, memoryMb: 1024 })),
  })
})

after(() => cluster?.stop())

afterEach(() => {
  for (const child of open) child.kill('SIGKILL')
  open = []
})

/** Says that it begins, then counts; ends with 1 when /tmp/end appears. */
const script =
  'echo "begin $HOSTNAME"; n=0; while [ ! -e /tmp/end ]; do n=$((n+1)); echo "count $n"; sleep 0.2; done; exit 1'

async function applyTalker(name: string): Promise<ReplicaView> {
  const spec = { termination_grace: '1s' }
  await applyWorkload(cluster, { name, command: ['/bin/sh', '-c', script], spec })
  return runningReplica(name)
}

async function runningReplica(name: string, notOn = ''): Promise<ReplicaView> {
  const isIt = ({ state, nodeName }: ReplicaView): boolean =>
    state === 'REPLICA_STATE_RUNNING' && nodeName !== notOn
  const replicas = await waitForReplicas(
    cluster,
    name,
    { what: 'running', deadlineMs: 30_000 },
    (all) => all.some(isIt),
  )
  return replicas.find(isIt)!
}

interface Started {
  output(): string
  /** Its exit code. */
  ended(deadlineMs?: number): Promise<number>
}

function start(...args: string[]): Started {
  const child = spawn(ctlProgram, args, {
    env: cleanEnvironment({ CLOUDLESS_CONFIG: cluster.configFile, NO_COLOR: '1' }),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  open.push(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  return {
    output: () => output,
    async ended(deadlineMs = 10_000) {
      await waitFor(() => child.exitCode !== null, {
        what: `the end of cloudlessctl ${args.join(' ')}`,
        deadlineMs,
        describe: () => output.slice(-1_000),
      })
      return child.exitCode!
    },
  }
}

function waitForOutput(command: Started, pattern: RegExp, deadlineMs = 20_000): Promise<boolean> {
  return waitFor(() => pattern.test(command.output()), {
    what: `output that matches ${pattern}`,
    deadlineMs,
    describe: () => command.output().slice(-1_000),
  })
}

test('a followed log goes on when the container restarts', async () => {
  await applyTalker('restarts')
  const follower = start('workload', 'logs', 'restarts', '-f')
  await waitForOutput(follower, /count 5/)
  const exec = await cluster.ctl.run(['workload', 'exec', 'restarts', '--', 'touch', '/tmp/end'])
  assert.equal(exec.code, 0, exec.stderr)
  await waitForOutput(follower, /begin[^]*begin[^]*count 3/)
  await cluster.ctl.text(['workload', 'delete', 'restarts', '--wait'])
  assert.equal(await follower.ended(), 0)
})

test('a followed log goes on with the replica that takes over, and ends with the workload', async () => {
  const first = await applyTalker('replaced')
  const follower = start('workload', 'logs', 'replaced', '-f')
  await waitForOutput(follower, /count 3/)
  await cluster.ctl.text(['workload', 'restart', 'replaced'])
  await waitForOutput(follower, /begin[^]*begin[^]*count 3/)
  const second = await runningReplica('replaced')
  assert.notEqual(second.id, first.id)
  await cluster.ctl.text(['workload', 'delete', 'replaced', '--wait'])
  assert.equal(await follower.ended(), 0)
})

test('a command ends with an error when its container is stopped under it', async () => {
  await applyTalker('stopped')
  const command = start('workload', 'exec', 'stopped', '--', 'sleep', '1000')
  const shell = start('workload', 'exec', '-i', 'stopped', '--', 'sh', '-c', 'echo up; sleep 1000')
  await waitForOutput(shell, /up/)
  await cluster.ctl.text(['workload', 'delete', 'stopped', '--wait'])
  for (const each of [command, shell]) assert.notEqual(await each.ended(), 0)
})

for (const how of ['cut off silently', 'switched off'] as const) {
  test(`a node that is ${how}: logs go on elsewhere, commands on it end`, async () => {
    const name = how === 'switched off' ? 'off' : 'cut'
    const { nodeName: lost } = await applyTalker(name)
    const follower = start('workload', 'logs', name, '-f')
    await waitForOutput(follower, /count 3/)
    const shell = start('workload', 'exec', '-i', name, '--', 'sh', '-c', 'echo up; sleep 1000')
    await waitForOutput(shell, /up/)
    const { host } = cluster.agent(lost!)
    if (how === 'switched off') await host.powerOff()
    else await host.link.cut()
    assert.notEqual(await shell.ended(), 0)
    await runningReplica(name, lost)
    await waitForOutput(follower, /begin[^]*begin[^]*count 3/)

    if (how === 'switched off') {
      await host.boot()
      await cluster.agent(lost!).start()
    } else await host.link.heal()
    await cluster.waitForPhase(lost!, 'READY', 30_000)
    await cluster.ctl.text(['workload', 'delete', name, '--wait'])
    assert.equal(await follower.ended(), 0)
  })
}
