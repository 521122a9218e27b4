/** For tests: the whole coordinator in this process, on free ports, with a real store; and agents that only speak. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { AgentService, CoordinatorService } from '@cloudless/api'
import { loadConfiguration, systemClock, systemRandom } from '@cloudless/base'
import {
  openCertificateAuthority,
  type CertificateAuthority,
  type Credentials,
} from '@cloudless/identity'
import { createLogger } from '@cloudless/observability'
import { createClient, type Client } from '@connectrpc/connect'
import { startCoordinator, type Coordinator } from '../process/coordinator.ts'
import { caDirectoryOf } from '../process/data-directory.ts'
import { createObserved } from '../process/observed.ts'
import { coordinatorSettings, type CoordinatorSettings } from '../process/settings.ts'
import { credentialsFor, fetchPath, transportTo } from '../server/testing.ts'
import { cleanUp } from './cluster.ts'

export interface RunningCoordinator {
  readonly port: number
  readonly healthPort: number
  readonly dataDirectory: string
  readonly ca: CertificateAuthority
  readonly operator: Credentials
  readonly client: Client<typeof CoordinatorService>
  readonly agents: Client<typeof AgentService>
  /** Its log, line by line, parsed. */
  readonly log: Record<string, unknown>[]
  /** Every figure at this moment, by its name and labels as Prometheus writes them. */
  figures(): Promise<Map<string, number>>
  /** Ends it, as SIGTERM would; the directory stays. */
  stop(): Promise<void>
}

export interface RunningCoordinatorOptions {
  /** Flags beside those for the ports and the directory. */
  readonly flags?: readonly string[]
  /** Of an earlier one, to go on with what it stored. */
  readonly dataDirectory?: string
}

export async function runCoordinatorHere(
  t: TestContext,
  options: RunningCoordinatorOptions = {},
): Promise<RunningCoordinator> {
  const dataDirectory = options.dataDirectory ?? newDirectory(t)
  const [port, healthPort] = [await freePort(), await freePort()]
  const settings = settingsOf([
    ...['--data-dir', dataDirectory, '--bind-addr', `127.0.0.1:${port}`],
    ...['--health-addr', `127.0.0.1:${healthPort}`, '--membership-return-grace', '200ms'],
    ...(options.flags ?? []),
  ])
  const log: Record<string, unknown>[] = []
  const coordinator = await start(settings, (line) => void log.push(JSON.parse(line) as never))
  let stopping: Promise<void> | undefined
  const stop = (): Promise<void> => (stopping ??= coordinator.close())
  cleanUp(t, stop)
  const ca = await openCertificateAuthority(
    { clock: systemClock },
    { directory: caDirectoryOf(dataDirectory), trustDomain: 'cloudless' },
  )
  const operator = await credentialsFor(ca, 'operator', 'test')
  const transport = transportTo(t, { port, ca }, operator)
  return {
    port,
    healthPort,
    dataDirectory,
    ca,
    operator,
    client: createClient(CoordinatorService, transport),
    agents: createClient(AgentService, transport),
    log,
    figures: async () =>
      figuresIn((await fetchPath({ port, ca }, '/metrics', { credentials: operator })).text),
    stop,
  }
}

function start(settings: CoordinatorSettings, write: (line: string) => void): Promise<Coordinator> {
  const deps = { clock: systemClock, random: systemRandom }
  const logger = createLogger({ name: 'coordinator', level: 'debug', format: 'json' }, { write })
  return startCoordinator(
    {
      ...deps,
      logger,
      observe: (store) =>
        createObserved(
          { ...deps, store, logger },
          {
            eventsMax: settings['observability.events_max'],
            coordinatorId: settings['raft.id'],
          },
        ),
    },
    settings,
  )
}

function settingsOf(args: readonly string[]): CoordinatorSettings {
  const result = loadConfiguration(coordinatorSettings, { args, env: {}, readFile: () => ({}) })
  if (result.kind === 'ok') return result.values
  throw new Error(JSON.stringify(result))
}

function newDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'cloudless-coordinator-'))
  cleanUp(t, () => rmSync(directory, { recursive: true, force: true }))
  return directory
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

function figuresIn(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ')
      return [line.slice(0, at).replace(/^cloudless_/, ''), Number(line.slice(at + 1))]
    }),
  )
}
