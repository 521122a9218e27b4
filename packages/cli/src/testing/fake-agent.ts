/** For tests: AgentService with scripted logs and a command interpreter of five words. */
import type { MessageInitShape } from '@bufbuild/protobuf'
import { AgentService, type ExecInput, type ExecOutputSchema } from '@cloudless/api'
import type { ConnectRouter } from '@connectrpc/connect'
import { once } from 'node:events'
import { refuse } from './fake-coordinator.ts'
import type { FakeState } from './fake-state.ts'

export interface FakeLogEntry {
  readonly timestampUs: bigint
  readonly stream: string
  readonly line: string
  readonly partial?: boolean
}

export interface FakeAgent {
  /** By container id. A following reader gets what is pushed later after a "change". */
  readonly logs: Map<string, FakeLogEntry[]>
  /** Breaks the next following reader after this many entries. */
  breakAfter: number | undefined
  /** What exec saw: window sizes and signals as text. */
  readonly seen: string[]
}

export function emptyAgent(): FakeAgent {
  return { logs: new Map(), breakAfter: undefined, seen: [] }
}

export function serveAgent(router: ConnectRouter, state: FakeState, agent: FakeAgent): void {
  router.service(AgentService, {
    listContainers: ({ nodeId }) => {
      if (nodeId !== 'a') refuse('unavailable', `node ${nodeId} is not connected`)
      const containers = [{ containerId: 'web-one', image: 'nginx', state: 'running' }]
      return { containers, nextToken: '', total: 1 }
    },
    runContainer: ({ name }) => ({ containerId: `hand-${name}` }),
    stopContainer: () => ({ exitCode: 143 }),
    getContainerStats: () => ({
      stats: [{ containerId: 'web-one', cpuMillicores: 12, memoryBytes: 1_048_576n, pids: 3 }],
    }),
    listImages: () => ({
      images: [{ name: 'docker.io/library/nginx:1.25', digest: `sha256:${'0'.repeat(64)}` }],
      nextToken: '',
      total: 1,
    }),
    async *pullImage({ image }) {
      yield { phase: 'resolving' }
      yield { phase: 'downloading', bytesDone: 5n, bytesTotal: 10n }
      yield { phase: 'done', done: true, digest: `sha256:of-${image}` }
    },
    execCommand({ command, env }) {
      const text = `ran ${command.join(' ')}${Object.entries(env).map(([k, v]) => ` ${k}=${v}`)}\n`
      return {
        exitCode: command[0] === 'false' ? 1 : 0,
        stdout: Buffer.from(text),
        stderr: Buffer.from('a warning\n'),
      }
    },
    exec: (inputs) => runExec(inputs, state, agent),
    async *streamLogs({ containerId, follow, tailLines, sinceMs }, { signal }) {
      const log = agent.logs.get(containerId)
      if (log === undefined) return refuse('not_found', `there is no container "${containerId}"`)
      let next = tailLines === undefined ? 0 : Math.max(0, log.length - tailLines)
      let sent = 0
      while (!signal.aborted) {
        for (; next < log.length; next++) {
          const entry = log[next]!
          if (entry.timestampUs / 1_000n < sinceMs) continue
          if (follow && sent === agent.breakAfter) {
            agent.breakAfter = undefined
            refuse('unavailable', 'the node is not connected')
          }
          sent++
          yield { ...entry, partial: entry.partial ?? false }
        }
        if (!follow) return
        await once(state.changes, 'change', { signal }).catch(() => undefined)
      }
    },
  })
}

type Output = MessageInitShape<typeof ExecOutputSchema>

async function* runExec(
  inputs: AsyncIterable<ExecInput>,
  state: FakeState,
  agent: FakeAgent,
): AsyncGenerator<Output> {
  let command: readonly string[] = []
  for await (const { input } of inputs) {
    switch (input.case) {
      case 'start': {
        command = input.value.command
        const { columns = 0, rows = 0 } = input.value.size ?? {}
        agent.seen.push(`start tty=${input.value.tty} size=${columns}x${rows}`)
        state.changes.emit('exec')
        yield { output: { case: 'started', value: true } }
        if (command[0] === 'exit') {
          return yield { output: { case: 'exitCode', value: Number(command[1]) } }
        }
        if (command[0] === 'vanish') return
        break
      }
      case 'stdin': {
        const text = Buffer.from(input.value).toString()
        yield { output: { case: 'stdout', value: Buffer.from(`got ${text}`) } }
        if (text.includes('exit 7')) {
          return yield { output: { case: 'exitCode', value: 7 } }
        }
        break
      }
      case 'resize':
        agent.seen.push(`resize ${input.value.columns}x${input.value.rows}`)
        break
      case 'closeStdin':
        return yield { output: { case: 'exitCode', value: 0 } }
    }
  }
}
