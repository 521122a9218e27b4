/** A real agent on a pretend machine, with the machine's containerd. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { mustRun } from './command.ts'
import { containerdSocket } from './host-containerd.ts'
import type { Host } from './host.ts'
import type { ProcessIdentity } from './processes.ts'
import { agentProgram, cleanEnvironment } from './programs.ts'

export interface AgentOptions {
  /** The node's name. */
  readonly name: string
  readonly region?: string
  readonly zone?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly cpuCores?: number
  readonly memoryMb?: number
  /** "host:port". */
  readonly coordinator: string
  /** Nested settings, written to its configuration file. */
  readonly config?: Readonly<Record<string, unknown>>
}

export interface AgentOnHost {
  readonly host: Host
  readonly name: string
  /** The agent's launcher. */
  readonly program: string
  readonly dataDirectory: string
  readonly log: string
  /** It holds a certificate, so it needs no token. */
  isEnrolled(): boolean
  /** Ends it and removes its certificate: the next start needs a token. */
  disenrol(): Promise<void>
  /** Starts it unless it runs. The token is needed the first time only; `env` is set beside the usual. */
  start(joinToken?: string, env?: NodeJS.ProcessEnv): Promise<void>
  process(): ProcessIdentity | undefined
  /** SIGKILL, the agent alone: its containers go on. */
  kill(): Promise<void>
  /** Puts an image (an OCI layout as tar) into the host's containerd, unless it has one of that name. */
  importImage(name: string, tar: string): Promise<void>
}

const containerdNamespace = 'cloudless'

export function createAgentOn(host: Host, options: AgentOptions): AgentOnHost {
  const dataDirectory = join(host.directory, 'agent')
  const configFile = join(host.directory, 'agent.yaml')
  const log = join(host.directory, 'agent.log')

  function command(): string[] {
    const labels = Object.entries(options.labels ?? {}).map(([key, value]) => `${key}=${value}`)
    const settings: [string, string | number | undefined][] = [
      ['--data-dir', dataDirectory],
      ['--coordinator-addr', options.coordinator],
      ['--node-name', options.name],
      ['--region', options.region],
      ['--zone', options.zone],
      ['--labels', labels.length === 0 ? undefined : labels.join(',')],
      ['--cpu-cores', options.cpuCores],
      ['--memory-mb', options.memoryMb],
      ['--container-socket', containerdSocket],
      ['--config', options.config === undefined ? undefined : configFile],
    ]
    const given = settings.filter(([, value]) => value !== undefined)
    return [agentProgram, ...given.flatMap(([flag, value]) => [flag, String(value)])]
  }

  return {
    host,
    name: options.name,
    program: agentProgram,
    dataDirectory,
    log,
    isEnrolled: () => existsSync(join(dataDirectory, 'identity', 'current', 'cert.pem')),
    async disenrol() {
      await host.kill('agent', 'SIGKILL')
      rmSync(join(dataDirectory, 'identity'), { recursive: true, force: true })
    },
    async start(joinToken, env = {}) {
      mkdirSync(dataDirectory, { recursive: true, mode: 0o700 })
      if (options.config !== undefined) writeFileSync(configFile, stringify(options.config))
      // In the environment: arguments can be read by everybody on the machine.
      const token = joinToken === undefined ? {} : { CLOUDLESS_JOIN_TOKEN: joinToken }
      const environment = cleanEnvironment({ ...token, ...env })
      await host.startTask('agent', command(), { env: environment, log })
    },
    process: () => host.task('agent'),
    async kill() {
      await host.kill('agent', 'SIGKILL')
    },
    async importImage(name, tar) {
      const ctr = ['ctr', '--namespace', containerdNamespace, 'images']
      const present = await host.run([...ctr, 'list', '--quiet', `name==${name}`])
      if (present.stdout.trim() === name) return
      await mustRun(host.enter([...ctr, 'import', tar]), {
        deadlineMs: 60_000,
      })
    },
  }
}
