/** The process around one invocation: signals, the terminal's state, the exit code. */
import { systemClock, systemRandom } from '@cloudless/base'
import { processIo } from './process-io.ts'
import { run } from './run.ts'

const interrupted = new AbortController()

/** The first Ctrl-C ends things in order; the second one at once. */
function onSignal(): void {
  if (interrupted.signal.aborted) process.exit(130)
  interrupted.abort(new Error('interrupted'))
}

process.on('SIGINT', onSignal)
process.on('SIGTERM', onSignal)
process.on('exit', () => {
  if (process.stdin.isTTY) process.stdin.setRawMode(false)
})
for (const stream of [process.stdout, process.stderr]) {
  // The reader has gone away (`| head`): there is nobody left to tell.
  stream.on('error', () => process.exit(process.exitCode ?? 0))
}

const exitCode = await run(
  {
    io: processIo(),
    clock: systemClock,
    random: systemRandom,
    signal: interrupted.signal,
    environment: process.env,
    workingDirectory: process.cwd(),
  },
  process.argv.slice(2),
)
process.exitCode = exitCode
// Written text is out before the process ends, also into a slow pipe.
await new Promise<void>((flushed) => process.stdout.write('', () => flushed()))
await new Promise<void>((flushed) => process.stderr.write('', () => flushed()))
process.exit(exitCode)
