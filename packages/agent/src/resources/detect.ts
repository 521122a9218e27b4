/** Looks at the machine: hardware, kernel, disk speed, power. Everything is bounded in time, and what is absent is zero. */
import { execFile } from 'node:child_process'
import { access, open, readFile, rm, statfs } from 'node:fs/promises'
import { availableParallelism, networkInterfaces, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { create } from '@bufbuild/protobuf'
import {
  NodeCapabilitiesSchema,
  NodePolicySchema,
  type NodeCapabilities,
  type NodePolicy,
} from '@cloudless/api'
import { writeDurably, type Clock, type HostPolicy } from '@cloudless/base'
import { gpuModelOf, iopsClassOf, type DetectedCapacity } from './capacity.ts'
import { detectMeteredLink } from './metered-link.ts'
import { detectPower } from './power.ts'
import { parseDefaultInterface } from './proc-files.ts'

export async function detectCapacity(
  clock: Clock,
  dataDirectory: string,
): Promise<DetectedCapacity> {
  const [disk, bandwidthBps, iopsClass, gpuModels] = await Promise.all([
    statfs(dataDirectory),
    detectBandwidth(),
    detectIopsClass(clock, dataDirectory),
    detectGpus(),
  ])
  const constrained = process.constrainedMemory()
  const memoryBytes = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()
  return {
    // Respects the affinity and the cgroup of this process.
    cpuMillicores: availableParallelism() * 1_000,
    memoryBytes,
    storageBytes: disk.blocks * disk.bsize,
    bandwidthBps,
    iopsClass,
    gpuModels,
  }
}

export interface CapabilityOptions {
  /** Empty when the runtime does not answer. */
  readonly runtimeVersion: string
  readonly gpuCount: number
  /** What its owner says of its link; undefined: look at it. */
  readonly meteredLink: boolean | undefined
  /** What the runtime goes by. */
  readonly policy: HostPolicy
}

export async function detectCapabilities(options: CapabilityOptions): Promise<NodeCapabilities> {
  const { runtimeVersion, gpuCount } = options
  const power = await detectPower()
  const meteredLink = options.meteredLink ?? (await detectMeteredLink())
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  return create(NodeCapabilitiesSchema, {
    containerRuntimes: ['containerd'],
    supportsGpu: gpuCount > 0,
    supportsArm: architecture.startsWith('arm'),
    supportsX86: architecture === 'amd64',
    networkFeatures: ['cni-bridge', 'portmap'],
    architecture,
    os: 'linux',
    kernelVersion: release(),
    runtimeVersion,
    meteredLink,
    policy: policyMessage(options.policy),
    ...power,
  })
}

function policyMessage(policy: HostPolicy): NodePolicy {
  return create(NodePolicySchema, {
    allowPrivileged: policy.allowPrivileged,
    allowHostNamespaces: policy.allowHostNamespaces,
    hostPathPrefixes: [...policy.hostPathPrefixes],
    runtimeClasses: [...policy.runtimeClasses],
    volumeSources: [...policy.volumeSources],
    seccompProfiles: [...policy.seccompProfiles],
    securityModules: [...policy.securityModules],
  })
}

/** Addresses of the interfaces that lead somewhere; `without` names those of our own making. */
export function detectAddresses(without: readonly string[]): string[] {
  const addresses: string[] = []
  for (const [name, entries] of Object.entries(networkInterfaces())) {
    if (without.includes(name) || /^(veth|docker|br-|cni)/.test(name)) continue
    for (const { address, internal, family } of entries ?? []) {
      if (internal || (family === 'IPv6' && address.startsWith('fe80'))) continue
      addresses.push(address)
    }
  }
  return addresses
}

/** A new id at each boot of the machine. */
export async function detectBootId(): Promise<string> {
  return (await readText('/proc/sys/kernel/random/boot_id')).trim() || 'unknown'
}

const bandwidthBpsDefault = 100e6

async function detectBandwidth(): Promise<number> {
  const name = parseDefaultInterface(await readText('/proc/net/route'))
  if (name === undefined) return bandwidthBpsDefault
  const mbps = Number((await readText(`/sys/class/net/${name}/speed`)).trim())
  return mbps > 0 ? mbps * 1e6 : bandwidthBpsDefault
}

const probeMsMax = 50
const probeWritesMax = 200

/** Measured once in the life of the data directory: a synced 4 KiB write after another for a twentieth of a second. */
async function detectIopsClass(clock: Clock, dataDirectory: string): Promise<string> {
  const cachePath = join(dataDirectory, 'disk-speed.json')
  const kept = /"iops":\s*(\d+)/.exec(await readText(cachePath))?.[1]
  if (kept !== undefined) return iopsClassOf(Number(kept))
  const iops = await measureIops(clock, join(dataDirectory, 'disk-speed.probe'))
  if (iops > 0) await writeDurably(cachePath, `${JSON.stringify({ iops })}\n`)
  return iopsClassOf(iops)
}

async function measureIops(clock: Clock, path: string): Promise<number> {
  const block = Buffer.alloc(4_096, 1)
  try {
    const file = await open(path, 'w', 0o600)
    try {
      const startMs = clock.monotonicMs()
      let writes = 0
      while (writes < probeWritesMax && clock.monotonicMs() - startMs < probeMsMax) {
        await file.write(block, 0, block.length, (writes % 256) * block.length)
        await file.datasync()
        writes++
      }
      return Math.round((writes * 1_000) / Math.max(1, clock.monotonicMs() - startMs))
    } finally {
      await file.close()
      await rm(path, { force: true })
    }
  } catch {
    return 0 // A disk that cannot be written is of unknown speed; what needs it will say so.
  }
}

const toolMsMax = 3_000

async function detectGpus(): Promise<readonly string[]> {
  try {
    await access('/dev/nvidiactl')
    const args = ['--query-gpu=name', '--format=csv,noheader']
    const { stdout } = await promisify(execFile)('nvidia-smi', args, { timeout: toolMsMax })
    const names = stdout.split('\n').filter((line) => line.trim() !== '')
    return names.map((name) => gpuModelOf('nvidia', name))
  } catch {
    return [] // No driver or no tool: no GPU that a container could use.
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    return '' // Absent on this machine.
  }
}
