/** One agent at a time uses a data directory. The lock is a socket name that the kernel frees when the process ends. */
import { createHash } from 'node:crypto'
import { mkdirSync, realpathSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { CloudlessError, systemCodeOf } from '@cloudless/base'

/** `failed_precondition` when another agent has it. */
export async function lockDataDirectory(directory: string): Promise<Server> {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = realpathSync(directory)
  const name = createHash('sha256').update(path).digest('hex').slice(0, 32)
  const server = createServer((socket) => socket.destroy())
  server.unref()
  await new Promise<void>((resolve, reject) => {
    server.once('error', (reason) => {
      const taken = systemCodeOf(reason) === 'EADDRINUSE'
      const said = taken ? 'another agent is running with it' : reason.message
      const message = `cannot use the data directory ${path}: ${said}`
      reject(new CloudlessError('failed_precondition', message, { cause: reason }))
    })
    server.listen(`\0cloudless-agent-${name}`, () => resolve())
  })
  return server
}
