/** One probe of each kind, against a replica's address or inside its container. Each ends by its deadline. */
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import type { ExecCheck, HealthCheck, HttpCheck, TcpCheck } from '@cloudless/api'
import { messageOf, onAbort } from '@cloudless/base'
import type { Runtime } from '@cloudless/runtime'

export interface ProbeTarget {
  readonly containerId: string
  readonly address: string
}

export interface ProbeOutcome {
  readonly passed: boolean
  /** Why not; for people. Empty when it passed. */
  readonly message: string
}

const passed: ProbeOutcome = { passed: true, message: '' }
const failed = (message: string): ProbeOutcome => ({ passed: false, message })

/** Never rejects: whatever goes wrong is a failure with its reason. The signal is the probe's deadline. */
export async function runCheck(
  runtime: Pick<Runtime, 'exec'>,
  target: ProbeTarget,
  check: HealthCheck['check'],
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  try {
    switch (check.case) {
      case 'http':
        return await checkHttp(target.address, check.value, signal)
      case 'tcp':
        return await checkTcp(target.address, check.value, signal)
      case 'exec':
        return await checkExec(runtime, target.containerId, check.value, signal)
      default:
        return passed
    }
  } catch (reason) {
    return failed(signal.aborted ? 'no answer in time' : messageOf(reason))
  }
}

async function checkHttp(
  address: string,
  check: HttpCheck,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const secure = check.scheme.toUpperCase() === 'HTTPS'
  // Loaded when the first HTTPS probe asks for it.
  const request = secure ? (await import('node:https')).request : httpRequest
  const path = check.path || '/'
  const headers: Record<string, string> = { 'User-Agent': 'cloudless-probe' }
  for (const { name, value } of check.headers) headers[name] = value
  return new Promise((resolve, reject) => {
    const options = {
      host: address,
      port: check.port,
      path: path.startsWith('/') ? path : `/${path}`,
      headers,
      agent: false,
      signal,
      ...(secure ? { rejectUnauthorized: false } : {}),
    } as const
    const sent = request(options, (response) => {
      // Only the status counts: the body may be endless.
      const status = response.statusCode ?? 0
      response.destroy()
      const good = status >= 200 && status < 400
      resolve(good ? passed : failed(`HTTP ${status} from ${where(address, check.port)}${path}`))
    })
    sent.once('error', reject)
    sent.end()
  })
}

function checkTcp(address: string, check: TcpCheck, signal: AbortSignal): Promise<ProbeOutcome> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port: check.port, signal })
    socket.once('connect', () => {
      socket.destroy()
      resolve(passed)
    })
    socket.once('error', reject)
  })
}

/** Bytes of output kept for the message of a failed command. */
const outputBytesMax = 512

async function checkExec(
  runtime: Pick<Runtime, 'exec'>,
  containerId: string,
  check: ExecCheck,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const session = await runtime.exec(containerId, {
    command: check.command,
    env: {},
    workingDir: '',
    tty: false,
    stdin: false,
  })
  // The deadline is the answer.
  const forget = onAbort(signal, () => void session.close().catch(() => undefined))
  try {
    let output = ''
    for await (const { data } of session.output) {
      if (output.length < outputBytesMax) output += Buffer.from(data).toString('utf8')
    }
    const exitCode = await session.exitCode
    if (signal.aborted) return failed('no answer in time')
    if (exitCode === 0) return passed
    const said = output.trim().slice(0, outputBytesMax)
    const command = check.command.join(' ')
    return failed(`\`${command}\` ended with exit code ${exitCode}${said ? `: ${said}` : ''}`)
  } finally {
    forget()
    await session.close()
  }
}

function where(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
