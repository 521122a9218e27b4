/** What the local cluster is made of, and the environment variables that change it. */
import { resolve, join } from 'node:path'
import { CloudlessError } from '@cloudless/base'

export interface AgentSetting {
  readonly name: string
  readonly address: string
  readonly zone: string
  readonly labels: Readonly<Record<string, string>>
  readonly cpuCores: number
  readonly memoryMb: number
}

export interface Settings {
  /** CLOUDLESS_HOME: everything that is kept. Absolute. */
  readonly home: string
  /** CLOUDLESS_PREFIX: names hosts and network devices, for a second cluster on the same machine. */
  readonly prefix: string
  /** CLOUDLESS_SUBNET: the first three numbers of the hosts' /24. */
  readonly subnet: string
  /** CLOUDLESS_POD_CIDR: the containers' /16, of which each node gets a /24. */
  readonly podCidr: string
  /** CLOUDLESS_PORT: the coordinator's. */
  readonly port: number
  /** CLOUDLESS_HEALTH_PORT: plain /healthz and /readyz, on loopback. */
  readonly healthPort: number
  readonly region: string
  readonly agents: readonly AgentSetting[]
}

/** Throws `invalid_argument` naming the variable. */
export function readSettings(env: NodeJS.ProcessEnv, workingDirectory: string): Settings {
  const subnet = textOf(env, 'CLOUDLESS_SUBNET', '10.66.0', /^\d{1,3}\.\d{1,3}\.\d{1,3}$/)
  return {
    home: resolve(workingDirectory, env['CLOUDLESS_HOME'] || '.cloudless'),
    prefix: textOf(env, 'CLOUDLESS_PREFIX', 'cloudless', /^[a-z][a-z0-9-]{0,9}$/),
    subnet,
    podCidr: textOf(env, 'CLOUDLESS_POD_CIDR', '10.244.0.0/16', /^\d{1,3}\.\d{1,3}\.0\.0\/16$/),
    port: portOf(env, 'CLOUDLESS_PORT', 8080),
    healthPort: portOf(env, 'CLOUDLESS_HEALTH_PORT', 8081),
    region: 'local',
    agents: [
      agent('agent-1', `${subnet}.1`, 'zone-a', 2, 2048, {}),
      agent('agent-2', `${subnet}.2`, 'zone-b', 4, 4096, {}),
      agent('agent-3', `${subnet}.3`, 'zone-c', 1, 1024, { tier: 'edge' }),
    ],
  }
}

export function coordinatorDirectoryOf(settings: Settings): string {
  return join(settings.home, 'coordinator')
}

export function cliConfigOf(settings: Settings): string {
  return join(settings.home, 'config.yaml')
}

function agent(
  name: string,
  address: string,
  zone: string,
  cpuCores: number,
  memoryMb: number,
  labels: Readonly<Record<string, string>>,
): AgentSetting {
  return { name, address, zone, labels, cpuCores, memoryMb }
}

function textOf(env: NodeJS.ProcessEnv, name: string, otherwise: string, shape: RegExp): string {
  const value = env[name] || otherwise
  if (shape.test(value)) return value
  throw new CloudlessError(
    'invalid_argument',
    `${name} is "${value}"; it must look like "${otherwise}" (${shape.source}).`,
  )
}

function portOf(env: NodeJS.ProcessEnv, name: string, otherwise: number): number {
  const port = Number(textOf(env, name, String(otherwise), /^\d{1,5}$/))
  if (port >= 1 && port <= 65_535) return port
  throw new CloudlessError('invalid_argument', `${name} is ${port}; a port is 1 to 65535.`)
}
