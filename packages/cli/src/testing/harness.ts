/** For tests: a fake coordinator over real TLS, and the CLI run against it inside this process. */
import { connectNodeAdapter } from '@connectrpc/connect-node'
import type { Interceptor } from '@connectrpc/connect'
import { seededRandom, systemClock } from '@cloudless/base'
import { mkdtempSync, rmSync } from 'node:fs'
import { createSecureServer, type ServerHttp2Session } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { run } from '../run.ts'
import type { Environment } from '../environment.ts'
import { createTestAuthority, writeConfiguration } from './credentials.ts'
import { emptyAgent, serveAgent, type FakeAgent } from './fake-agent.ts'
import { serveCoordinator } from './fake-coordinator.ts'
import { FakeIo } from './fake-io.ts'
import { emptyState, type FakeState } from './fake-state.ts'

export interface Result {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface Harness {
  readonly state: FakeState
  readonly agent: FakeAgent
  readonly directory: string
  readonly configPath: string
  readonly address: string
  /** Runs a command line to its end. */
  cli(line: string | readonly string[], options?: CliOptions): Promise<Result>
  /** Starts one that goes on; stop it with the controller, read its Io meanwhile. */
  start(line: string | readonly string[], options?: CliOptions): Started
  /** Cuts every connection, as a coordinator that dies would. */
  cutConnections(): void
}

export interface CliOptions {
  readonly io?: FakeIo
  readonly environment?: Environment
}

export interface Started {
  readonly io: FakeIo
  readonly done: Promise<number>
  interrupt(): void
}

export async function startHarness(t: TestContext): Promise<Harness> {
  const directory = mkdtempSync(join(tmpdir(), 'cloudless-cli-'))
  const authority = await createTestAuthority(directory)
  const state = emptyState()
  const agent = emptyAgent()
  const { address, cut, close } = await serve(
    await authority.issue('controller', 'coordinator-1'),
    state,
    agent,
  )
  const operator = await authority.issue('operator', 'tester')
  const configPath = writeConfiguration(directory, address, operator)
  t.after(async () => {
    await close()
    rmSync(directory, { recursive: true, force: true })
  })

  function start(line: string | readonly string[], options: CliOptions = {}): Started {
    const io = options.io ?? new FakeIo()
    const interrupted = new AbortController()
    const words = typeof line === 'string' ? line.split(' ').filter(Boolean) : line
    const done = run(
      {
        io,
        clock: systemClock,
        random: seededRandom(1),
        signal: interrupted.signal,
        environment: { CLOUDLESS_CONFIG: configPath, ...options.environment },
        workingDirectory: directory,
      },
      words,
    )
    t.after(() => interrupted.abort(new Error('the test is over')))
    return { io, done, interrupt: () => interrupted.abort(new Error('interrupted')) }
  }

  return {
    state,
    agent,
    directory,
    configPath,
    address,
    start,
    async cli(line, options) {
      const { io, done } = start(line, options)
      const code = await done
      return { code, out: io.outText, err: io.errText }
    },
    cutConnections: cut,
  }
}

async function serve(
  credentials: { keyPem: string; certificatePem: string; caPem: string },
  state: FakeState,
  agent: FakeAgent,
): Promise<{ address: string; cut(): void; close(): Promise<void> }> {
  const record: Interceptor = (next) => (request) => {
    const message = request.stream ? undefined : request.message
    state.calls.push({ method: request.method.name, headers: request.header, request: message })
    return next(request)
  }
  const server = createSecureServer(
    {
      key: credentials.keyPem,
      cert: credentials.certificatePem + credentials.caPem,
      ca: credentials.caPem,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.3',
    },
    connectNodeAdapter({
      interceptors: [record],
      routes: (router) => {
        serveCoordinator(router, state)
        serveAgent(router, state, agent)
      },
    }),
  )
  const sessions = new Set<ServerHttp2Session>()
  server.on('session', (session) => {
    sessions.add(session)
    session.on('close', () => sessions.delete(session))
    session.on('error', () => undefined) // A client that went away is none of the server's business.
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const cut = (): void => {
    for (const session of sessions) session.destroy()
  }
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed())
        cut()
      }),
  }
}
