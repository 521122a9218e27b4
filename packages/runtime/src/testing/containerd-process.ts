/** A containerd of a test's own: its own root, state and socket, and nothing left of it afterwards. */
import { sleep, systemClock } from '@cloudless/base'
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createContainerdClient } from '../containerd/client.ts'

const run = promisify(execFile)
const namespace = 'cloudless'

export interface ContainerdProcess {
  /** Removed by destroy(). */
  readonly directory: string
  readonly socket: string
  readonly cgroupParent: string
  readonly bridgeName: string
  start(): Promise<void>
  /** kill -9; the containers' shims live on. */
  kill(): Promise<void>
  /** What a reboot leaves: everything killed, tmpfs empty, the disk as it was. Then start() again. */
  powerCut(): Promise<void>
  /** `archive` is an OCI layout; its index names the image. */
  importImage(archive: Buffer): Promise<void>
  destroy(): Promise<void>
}

const configuration = (directory: string): string => `
version = 2
root = "${directory}/root"
state = "${directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs", "io.containerd.internal.v1.opt",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "${directory}/containerd.sock"
[ttrpc]
  address = "${directory}/containerd.sock.ttrpc"
`

export interface ContainerdProcessOptions {
  /** Images and layers get a disk of this size; /tmp's when not given. */
  readonly diskBytes?: number
}

export async function createContainerdProcess(
  prefix: string,
  options: ContainerdProcessOptions = {},
): Promise<ContainerdProcess> {
  const directory = mkdtempSync(`/tmp/${prefix}-`)
  const suffix = directory.slice(-6).toLowerCase()
  // The sockets' and shims' directory belongs on tmpfs; the images' on a disk that overlayfs can lie on.
  mkdirSync(join(directory, 'state'))
  await run('mount', ['-t', 'tmpfs', 'tmpfs', join(directory, 'state')])
  const disk = join(directory, 'root')
  mkdirSync(disk)
  if (options.diskBytes !== undefined) {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${options.diskBytes}`, 'tmpfs', disk])
  }
  writeFileSync(join(directory, 'config.toml'), configuration(directory))
  const socket = join(directory, 'containerd.sock')
  let child: ChildProcess | undefined

  const kill = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child!.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }
  const start = async (): Promise<void> => {
    const log = openSync(join(directory, 'containerd.log'), 'a')
    child = spawn(
      'containerd',
      ['--config', join(directory, 'config.toml'), '--log-level', 'info'],
      {
        stdio: ['ignore', log, log],
      },
    )
    closeSync(log)
    await untilAnswering(socket, join(directory, 'containerd.log'))
  }
  const powerCut = async (): Promise<void> => {
    const client = createContainerdClient({ socket, namespace })
    const { tasks } = await client.tasks.list({})
    await kill()
    // The shims first, so that nobody cleans up after the containers.
    const shims = await run('pgrep', ['-f', `containerd-shim.*${socket}`])
    const pids = [...shims.stdout.trim().split('\n').map(Number), ...tasks.map(({ pid }) => pid)]
    for (const pid of pids) process.kill(pid, 'SIGKILL')
    await run('umount', ['-l', join(directory, 'state')])
    await run('mount', ['-t', 'tmpfs', 'tmpfs', join(directory, 'state')])
  }
  const importImage = async (archive: Buffer): Promise<void> => {
    const path = join(directory, 'import.tar')
    writeFileSync(path, archive)
    await run('ctr', ['-a', socket, '-n', namespace, 'images', 'import', path])
    rmSync(path)
  }
  const destroy = async (): Promise<void> => {
    if (child !== undefined && (child.exitCode !== null || child.signalCode !== null)) await start()
    if (existsSync(socket)) await removeContainers(socket)
    await kill()
    await run('umount', ['-l', join(directory, 'state')]).catch(() => {
      // Not mounted: a test that failed early.
    })
    if (options.diskBytes !== undefined) await run('umount', ['-l', disk])
    rmSync(directory, { recursive: true, force: true })
    await removeCgroups(`/rt-${suffix}`)
  }
  return {
    directory,
    socket,
    cgroupParent: `/rt-${suffix}`,
    bridgeName: `rt-${suffix}`,
    start,
    kill,
    powerCut,
    importImage,
    destroy,
  }
}

async function untilAnswering(socket: string, logPath: string): Promise<void> {
  const client = createContainerdClient({ socket, namespace })
  const deadlineMs = systemClock.monotonicMs() + 20_000
  for (;;) {
    try {
      await client.version.version({})
      return
    } catch (reason) {
      if (systemClock.monotonicMs() > deadlineMs) {
        throw new Error(`containerd does not answer: ${readFileSync(logPath, 'utf8')}`, {
          cause: reason,
        })
      }
      await sleep(systemClock, 20)
    }
  }
}

async function removeContainers(socket: string): Promise<void> {
  const client = createContainerdClient({ socket, namespace })
  const { tasks } = await client.tasks.list({})
  for (const { id } of tasks) {
    const waiting = client.tasks.wait({ containerId: id })
    await client.tasks.kill({ containerId: id, signal: 9, all: true }).catch(() => {
      // It has ended already.
    })
    await waiting
    await client.tasks.delete({ containerId: id })
  }
}

async function removeCgroups(parent: string): Promise<void> {
  const script = `find /sys/fs/cgroup -depth -type d -path '*${parent}*' -exec rmdir {} + || true`
  await run('sh', ['-c', script])
}
