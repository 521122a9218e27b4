/** A runtime on a containerd of its own, with a busybox image, for the integration tests. */
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { WorkloadSpecSchema } from '@cloudless/api'
import { sleep, systemClock, systemRandom } from '@cloudless/base'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createContainerdRuntime, type ContainerdRuntime } from '../containerd-runtime.ts'
import { removeNetwork } from '../network/forwarding.ts'
import type { ContainerdRuntimeOptions, RuntimeLogger } from '../options.ts'
import type { ContainerRequest, LogLine } from '../runtime.ts'
import {
  createContainerdProcess,
  type ContainerdProcess,
  type ContainerdProcessOptions,
} from './containerd-process.ts'

const run = promisify(execFile)

export interface RuntimeFixture {
  readonly containerd: ContainerdProcess
  readonly runtime: ContainerdRuntime
  /** What was logged as a warning. */
  readonly warnings: readonly string[]
  request(
    containerId: string,
    spec: MessageInitShape<typeof WorkloadSpecSchema>,
    rest?: Partial<ContainerRequest>,
  ): ContainerRequest
  /** Another runtime over the same state, as after a restart of the agent; the first is closed. */
  restart(): Promise<ContainerdRuntime>
  destroy(): Promise<void>
}

export async function createRuntimeFixture(
  prefix: string,
  podCidr: string,
  options: Partial<ContainerdRuntimeOptions> = {},
  containerdOptions: ContainerdProcessOptions = {},
): Promise<RuntimeFixture> {
  const containerd = await createContainerdProcess(prefix, containerdOptions)
  const { directory, socket, cgroupParent, bridgeName } = containerd
  const warnings: string[] = []
  const logger: RuntimeLogger = {
    debug() {},
    info() {},
    warn: (fields, message) => {
      const { err } = fields as { err?: unknown }
      warnings.push(err instanceof Error ? `${message}: ${err.message}` : message)
    },
  }
  const begin = (): ContainerdRuntime => {
    const runtime = createContainerdRuntime(
      { clock: systemClock, random: systemRandom, logger },
      {
        socket,
        stateDirectory: join(directory, 'runtime'),
        runDirectory: join(directory, 'state', 'runtime'),
        cgroupParent,
        bridgeName,
        ...options,
      },
    )
    runtime.setPodCidr(podCidr)
    return runtime
  }
  await containerd.start()
  let runtime = begin()
  return {
    containerd,
    get runtime() {
      return runtime
    },
    warnings,
    request: (containerId, spec, rest = {}) => ({
      containerId,
      replicaId: containerId,
      workloadId: 'default-app',
      workloadName: 'app',
      namespace: 'default',
      fragmentId: `frag-${containerId}`,
      hostname: containerId,
      volumeDirectory: join(directory, 'volumes', containerId),
      logPath: join(directory, 'logs', `${containerId}.log`),
      spec: create(WorkloadSpecSchema, { image: 'cloudless.local/busybox:1', ...spec }),
      ...rest,
    }),
    async restart() {
      await runtime.close()
      runtime = begin()
      return runtime
    },
    async destroy() {
      const known = await runtime.list().catch(() => [])
      for (const { containerId } of known) await runtime.remove(containerId)
      await runtime.close()
      await removePortChains()
      await removeNetwork({ podCidr, clusterCidr: '10.244.0.0/16', bridgeName })
      await containerd.destroy()
    },
  }
}

/** The lines of the log that there are now, or the newest of them. */
export async function logText(
  runtime: ContainerdRuntime,
  logPath: string,
  tailLines?: number,
): Promise<string[]> {
  const signal = new AbortController().signal
  const tail = tailLines === undefined ? {} : { tailLines }
  const lines: string[] = []
  for await (const line of runtime.logs(logPath, { follow: false, sinceMs: 0, signal, ...tail })) {
    lines.push(textOf(line))
  }
  return lines
}

export function textOf(line: LogLine): string {
  return `${line.stream}: ${line.line}`
}

/** The first answer that is not undefined. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined>,
  deadlineMs = 10_000,
): Promise<T> {
  const untilMs = systemClock.monotonicMs() + deadlineMs
  for (;;) {
    const answer = await look()
    if (answer !== undefined) return answer
    if (systemClock.monotonicMs() > untilMs) throw new Error(`not within ${deadlineMs} ms: ${what}`)
    await sleep(systemClock, 25)
  }
}

/** The portmap plugin keeps its chains when the last port is gone. Left alone while anyone has a port in them. */
async function removePortChains(): Promise<void> {
  const nat = async (...args: readonly string[]): Promise<string> => {
    const { stdout } = await run('iptables', ['-w', '-t', 'nat', ...args])
    return stdout
  }
  const rules = (await nat('-S')).split('\n')
  if (rules.some((rule) => rule.startsWith('-A CNI-HOSTPORT-DNAT '))) return
  const chains = rules.flatMap((rule) => /^-N (CNI-HOSTPORT-\w+)$/.exec(rule)?.[1] ?? [])
  for (const rule of rules) {
    const jump = /^-A (?:PREROUTING|OUTPUT|POSTROUTING) .*-j CNI-HOSTPORT-\w+$/.test(rule)
    // The comment is the only quoted argument.
    if (jump)
      await nat(
        ...rule
          .replace('-A', '-D')
          .match(/"[^"]*"|\S+/g)!
          .map(unquoted),
      )
  }
  for (const chain of chains) await nat('-F', chain)
  for (const chain of chains) await nat('-X', chain)
}

function unquoted(text: string): string {
  return text.replace(/^"|"$/g, '')
}
