/** Starting a process in a running container. */
import { CloudlessError, randomId } from '@cloudless/base'
import { join } from 'node:path'
import type { ContainerdClient } from '../containerd/client.ts'
import { callOrAbsent } from '../containerd/errors.ts'
import { errorOfStart } from '../container/start-errors.ts'
import { jsonAny, processTypeUrl } from '../container/starter.ts'
import type { OciProcess, OciSpec } from '../oci/oci-spec.ts'
import type { ContainerdRuntimeDeps, ResolvedOptions } from '../options.ts'
import type { ExecRequest, ExecSession } from '../runtime.ts'
import { ContainerdExecSession } from './exec-session.ts'
import { makeFifos } from './fifos.ts'

export interface ExecuteParts {
  readonly deps: ContainerdRuntimeDeps
  readonly options: ResolvedOptions
  readonly client: ContainerdClient
}

/** Codes: not_found (no such container), failed_precondition (not running, no such command), unavailable. */
export async function execute(
  { deps, options, client }: ExecuteParts,
  containerId: string,
  request: ExecRequest,
): Promise<ExecSession> {
  if (request.command.length === 0) {
    throw new CloudlessError('invalid_argument', 'There is no command to execute.')
  }
  const container = await callOrAbsent(`look up container ${containerId}`, () =>
    client.containers.get({ id: containerId }),
  )
  const specBytes = container?.container?.spec?.value
  if (specBytes === undefined) throw notThere(containerId)
  const spec = JSON.parse(new TextDecoder().decode(specBytes)) as OciSpec
  const execId = `exec-${randomId(deps.random, 16)}`
  const fifos = await makeFifos(join(options.runDirectory, 'exec', execId), {
    stdin: request.stdin,
    stderr: !request.tty,
  })
  const io = {
    stdin: fifos.stdinPath,
    stdout: fifos.stdoutPath,
    stderr: fifos.stderrPath,
    terminal: request.tty,
  }
  try {
    const process = jsonAny(processTypeUrl, execProcessOf(spec.process, request))
    await client.tasks.exec({ containerId, execId, spec: process, ...io })
    try {
      await client.tasks.start({ containerId, execId })
    } catch (reason) {
      // It never ran; what remains of it goes with the container at the latest.
      await client.tasks.deleteProcess({ containerId, execId }).catch(() => {})
      throw reason
    }
  } catch (reason) {
    fifos.stdout.destroy()
    fifos.stderr?.destroy()
    await fifos.remove()
    throw errorOfExec(reason, containerId, container?.container?.image ?? '')
  }
  const session = new ContainerdExecSession({
    clock: deps.clock,
    client,
    fifos,
    containerId,
    execId,
  })
  if (request.tty && request.size !== undefined) {
    // The size at the start is also in the process; some shells look only at changes.
    await session.resize(request.size.columns, request.size.rows)
  }
  return session
}

/** The container's own process with another command: same user, capabilities, limits. */
export function execProcessOf(own: OciProcess, request: ExecRequest): OciProcess {
  const env = new Map(own.env.map((entry) => splitEntry(entry)))
  if (request.tty) env.set('TERM', 'xterm')
  for (const [name, value] of Object.entries(request.env)) env.set(name, value)
  return {
    ...own,
    terminal: request.tty,
    args: request.command,
    env: [...env].map(([name, value]) => `${name}=${value}`),
    cwd: request.workingDir || own.cwd,
    ...(request.tty && request.size !== undefined
      ? { consoleSize: { width: request.size.columns, height: request.size.rows } }
      : {}),
  }
}

function splitEntry(entry: string): readonly [string, string] {
  const equals = entry.indexOf('=')
  return [entry.slice(0, equals), entry.slice(equals + 1)]
}

function errorOfExec(reason: unknown, containerId: string, image: string): CloudlessError {
  const error = errorOfStart(reason, { containerId, image }, `execute in container ${containerId}`)
  const isNotRunning =
    error.code === 'not_found' || /not running|cannot exec in a|stopped/.test(error.message)
  if (!isNotRunning) return error
  return new CloudlessError(
    'failed_precondition',
    `Container ${containerId} is not running; nothing can be executed in it.`,
    { cause: reason },
  )
}

function notThere(containerId: string): CloudlessError {
  return new CloudlessError('not_found', `There is no container ${containerId} on this node.`)
}
