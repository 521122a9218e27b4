/** From the agent's settings to the options of its parts. */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { TaintSchema, taintEffects, type Taint } from '@cloudless/api'
import { CloudlessError, messageOf, problemWithLabel } from '@cloudless/base'
import type { ContainerdRuntimeOptions, RegistryCredential } from '@cloudless/runtime'
import type { CapacityOverrides, SystemReserve } from '../resources/capacity.ts'
import type { AgentSettings } from './settings.ts'

/** `invalid_argument` when the name cannot be a node's. */
export function nodeNameOf(settings: AgentSettings): string {
  const name = settings.node_name || hostname().toLowerCase().split('.')[0]!
  const problem = problemWithLabel(name)
  if (problem === undefined) return name
  throw new CloudlessError('invalid_argument', `node_name: "${name}" ${problem}`)
}

export function overridesOf(settings: AgentSettings): CapacityOverrides {
  return {
    cpuCores: settings['resources.cpu_cores'],
    memoryMb: settings['resources.memory_mb'],
    storageGb: settings['resources.storage_gb'],
    bandwidthMbps: settings['resources.bandwidth_mbps'],
  }
}

export function reserveOf(settings: AgentSettings): SystemReserve {
  return {
    cpuPercent: settings['resources.system_reserved.cpu_percent'],
    memoryPercent: settings['resources.system_reserved.memory_percent'],
    storagePercent: settings['resources.system_reserved.storage_percent'],
  }
}

/** What the owner says of the link; undefined when the link is to be looked at. */
export function meteredLinkOf(settings: AgentSettings): boolean | undefined {
  const said = settings['node.metered']
  return said === 'auto' ? undefined : said === 'yes'
}

/** "key=value:Effect", the value may be missing. `invalid_argument` when it is not so. */
export function taintsOf(settings: AgentSettings): Taint[] {
  return settings.taints.map((text) => {
    const [, key, value = '', effect] = /^([^=:]+)(?:=([^:]*))?:(\w+)$/.exec(text) ?? []
    if (key !== undefined && effect !== undefined && taintEffects.includes(effect as never)) {
      return create(TaintSchema, { key, value, effect })
    }
    throw new CloudlessError(
      'invalid_argument',
      `taints: "${text}" is not key=value:Effect with an effect of ${taintEffects.join(', ')}`,
    )
  })
}

export function runtimeOptionsOf(settings: AgentSettings): ContainerdRuntimeOptions {
  return {
    socket: settings['container.socket'],
    namespace: settings['container.namespace'],
    stateDirectory: join(settings.data_dir, 'runtime'),
    runDirectory: settings.run_dir,
    cgroupParent: settings['container.cgroup_parent'],
    cniDirectories: settings['network.cni_dirs'],
    bridgeName: settings['network.bridge'],
    registries: {
      mirrors: Object.fromEntries(
        Object.entries(settings['images.mirrors']).map(([name, hosts]) => [name, hosts.split('+')]),
      ),
      insecure: settings['images.insecure_registries'],
      credentials: credentialsOf(settings['images.credentials_file']),
    },
    pullConcurrency: settings['images.pull_concurrency'],
    logFileBytesMax: settings['container.log_file_bytes'],
    logFilesMax: settings['container.log_files'],
    pidsLimitDefault: settings['container.pids_limit'],
    hostPathPrefixes: settings['features.host_path_prefixes'],
    allowPrivileged: settings['features.allow_privileged'],
    allowHostNamespaces: settings['features.allow_host_network'],
    ...(settings['network.dns_servers'].length > 0
      ? { dnsServers: settings['network.dns_servers'] }
      : {}),
  }
}

function credentialsOf(path: string): readonly RegistryCredential[] {
  if (path === '') return []
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (reason) {
    const said = `images.credentials_file: ${messageOf(reason)}`
    throw new CloudlessError('invalid_argument', said, { cause: reason })
  }
  try {
    const list = JSON.parse(text) as readonly RegistryCredential[]
    const whole = Array.isArray(list) && list.every((one) => typeof one?.registry === 'string')
    if (whole) return list
  } catch {
    // Said below: no JSON and no list are the same fault. The text is secret.
  }
  throw new CloudlessError(
    'invalid_argument',
    `images.credentials_file: ${path} is not a JSON list of {name, registry, username, password}`,
  )
}
