/** Where the project's own programs are, and how they are started from anywhere. */
import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname, join } from 'node:path'

export const checkout = join(import.meta.dirname, '..', '..')

export const coordinatorProgram = join(checkout, 'bin', 'coordinator')
export const agentProgram = join(checkout, 'bin', 'agent')
export const ctlProgram = join(checkout, 'bin', 'cloudlessctl')

/** The environment with the project's Node first, and none of the caller's own CLOUDLESS_ settings. */
export function cleanEnvironment(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => {
    return (
      !name.startsWith('CLOUDLESS_') && !name.startsWith('NODE_TEST') && name !== 'NODE_OPTIONS'
    )
  })
  const path = `${join(checkout, 'node_modules', '.bin')}:${process.env['PATH'] ?? ''}`
  return { ...Object.fromEntries(kept), PATH: path, ...extra }
}

/** Starts a program that goes on when we end; what it prints is appended to `log`. Says whether it has ended. */
export function startInBackground(
  command: readonly string[],
  log: string,
  env: NodeJS.ProcessEnv = process.env,
): { hasEnded(): boolean } {
  mkdirSync(dirname(log), { recursive: true })
  const output = openSync(log, 'a', 0o600)
  const [program, ...args] = command
  const child = spawn(program!, args, { detached: true, stdio: ['ignore', output, output], env })
  let failed = false
  child.on('error', () => (failed = true))
  child.unref()
  closeSync(output)
  return { hasEnded: () => failed || child.exitCode !== null || child.signalCode !== null }
}
