/** Runs one CNI plugin: configuration on stdin, parameters in the environment, the result on stdout. */
import { CloudlessError, messageOf } from '@cloudless/base'
import { spawn } from 'node:child_process'
import { access } from 'node:fs/promises'
import { join } from 'node:path'

export interface CniCall {
  readonly command: 'ADD' | 'DEL'
  readonly containerId: string
  /** Path of the network namespace; "" when it is gone (DEL). */
  readonly networkNamespace: string
  readonly interfaceName: string
}

export interface CniResult {
  readonly cniVersion?: string
  readonly ips?: readonly { readonly address: string; readonly gateway?: string }[]
  readonly [field: string]: unknown
}

const deadlineMs = 20_000
const outputBytesMax = 1024 * 1024

export class CniPlugins {
  readonly #directories: readonly string[]
  readonly #pathByType = new Map<string, Promise<string>>()

  constructor(directories: readonly string[]) {
    this.#directories = directories
  }

  /** Resolves with the plugin's result, empty for DEL. Throws with the plugin's own message. */
  async run(
    type: string,
    configuration: Readonly<Record<string, unknown>>,
    call: CniCall,
  ): Promise<CniResult> {
    const path = await this.#pathOf(type)
    const output = await runToEnd(path, JSON.stringify({ ...configuration, type }), {
      CNI_COMMAND: call.command,
      CNI_CONTAINERID: call.containerId,
      CNI_NETNS: call.networkNamespace,
      CNI_IFNAME: call.interfaceName,
      CNI_PATH: this.#directories.join(':'),
      // Plugins run iptables.
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    })
    const what = `CNI plugin ${type} (${call.command} for ${call.containerId})`
    if (output.exitCode !== 0) {
      throw new CloudlessError('unavailable', `${what} failed: ${reasonIn(output)}`, {
        details: { plugin: type },
      })
    }
    if (output.stdout.trim() === '') return {}
    try {
      return JSON.parse(output.stdout) as CniResult
    } catch (reason) {
      throw new CloudlessError('internal', `${what} answered no JSON: ${messageOf(reason)}`)
    }
  }

  #pathOf(type: string): Promise<string> {
    const known = this.#pathByType.get(type)
    if (known !== undefined) return known
    const path = this.#find(type)
    this.#pathByType.set(type, path)
    // It may be installed while we run.
    path.catch(() => this.#pathByType.delete(type))
    return path
  }

  async #find(type: string): Promise<string> {
    for (const directory of this.#directories) {
      const path = join(directory, type)
      const found = await access(path).then(
        () => true,
        () => false,
      )
      if (found) return path
    }
    throw new CloudlessError(
      'failed_precondition',
      `CNI plugin "${type}" is in none of ${this.#directories.join(', ')}. ` +
        'Install the package containernetworking-plugins.',
    )
  }
}

interface Output {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

function runToEnd(
  path: string,
  input: string,
  environment: Readonly<Record<string, string>>,
): Promise<Output> {
  return new Promise((resolve, reject) => {
    const child = spawn(path, [], {
      env: { ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: deadlineMs,
      killSignal: 'SIGKILL',
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (stdout.length < outputBytesMax) stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (stderr.length < outputBytesMax) stderr += text
    })
    child.on('error', (reason) => reject(CloudlessError.from(reason, `Could not run ${path}`)))
    child.on('close', (code, signal) => {
      const note = signal === null ? '' : `ended by ${signal} (deadline ${deadlineMs} ms)`
      resolve({ exitCode: code ?? 1, stdout, stderr: stderr + note })
    })
    // A plugin that ends before it has read its input shows by its exit code.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

function reasonIn(output: Output): string {
  try {
    const { msg, details } = JSON.parse(output.stdout) as { msg?: string; details?: string }
    if (msg !== undefined) return details ? `${msg} (${details})` : msg
  } catch {
    // Not every failure comes as JSON; the text says what it can.
  }
  return (output.stdout + output.stderr).trim().slice(-500) || `exit code ${output.exitCode}`
}
