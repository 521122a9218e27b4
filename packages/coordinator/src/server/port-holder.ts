/** Who holds a TCP port on this machine, read from /proc: for the message when it is taken. Linux only. */
import { readdir, readFile, readlink } from 'node:fs/promises'
import { CloudlessError, systemCodeOf } from '@cloudless/base'

export interface PortHolder {
  readonly pid: number
  /** Its command line, shortened. */
  readonly command: string
}

/** The process that listens on the port, or undefined when none is found (it may be another user's). */
export async function findPortHolder(port: number): Promise<PortHolder | undefined> {
  const tables = await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map(readTable))
  const inodes = new Set(tables.flatMap((table) => listeningInodes(table, port)))
  if (inodes.size === 0) return undefined
  for (const name of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(name) || !(await holdsSocket(name, inodes))) continue
    return { pid: Number(name), command: await commandOf(name) }
  }
  return undefined
}

/** What to throw when listening failed. */
export async function explainListenFailure(
  reason: unknown,
  where: { readonly host: string; readonly port: number; readonly purpose: string },
): Promise<CloudlessError> {
  const address = `${where.host}:${where.port}`
  if (systemCodeOf(reason) !== 'EADDRINUSE') {
    return CloudlessError.from(reason, `listening on ${address} for ${where.purpose}`)
  }
  const holder = await findPortHolder(where.port)
  const by = holder === undefined ? 'another process' : `process ${holder.pid} (${holder.command})`
  return new CloudlessError(
    'failed_precondition',
    `port ${where.port} on ${where.host}, wanted for ${where.purpose}, is taken by ${by}: ` +
      'stop that process or configure another port',
    {
      cause: reason,
      details: { port: where.port, ...(holder === undefined ? {} : { pid: holder.pid }) },
    },
  )
}

/** Inodes of the sockets listening on a port, from the text of /proc/net/tcp or tcp6. */
export function listeningInodes(table: string, port: number): string[] {
  const listening = '0A'
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0')
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((field) => field[1]?.endsWith(`:${hexPort}`) && field[3] === listening)
    .map((field) => field[9] ?? '')
}

async function readTable(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '') // No such table: no IPv6, or not Linux.
}

async function holdsSocket(pid: string, inodes: ReadonlySet<string>): Promise<boolean> {
  // A process that has ended, or is another user's, shows nothing.
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => [])
  for (const descriptor of descriptors) {
    const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '')
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1]
    if (inode !== undefined && inodes.has(inode)) return true
  }
  return false
}

const commandLengthMax = 80

async function commandOf(pid: string): Promise<string> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  const command = commandLine.replaceAll('\0', ' ').trim() || 'unknown'
  return command.length <= commandLengthMax ? command : `${command.slice(0, commandLengthMax)}…`
}
