/** The three files in /etc that each container gets, and the directory they are in. */
import { readFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { GeneratedFiles } from '../oci/mounts.ts'
import type { ResolvedOptions } from '../options.ts'

/** A name server on the loopback answers the host only: these hold what it forwards to. */
const resolvConfPaths = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf']

export class GeneratedFileStore {
  readonly #options: ResolvedOptions

  constructor(options: ResolvedOptions) {
    this.#options = options
  }

  async write(containerId: string, hostname: string): Promise<GeneratedFiles> {
    const directory = this.#directoryOf(containerId)
    await mkdir(directory, { recursive: true, mode: 0o755 })
    const files: GeneratedFiles = {
      hosts: join(directory, 'hosts'),
      resolvConf: join(directory, 'resolv.conf'),
      hostname: join(directory, 'hostname'),
    }
    await Promise.all([
      writeFile(files.hosts, hostsText(hostname, '')),
      writeFile(files.hostname, `${hostname}\n`),
      writeFile(files.resolvConf, await this.#resolvConf()),
    ])
    return files
  }

  /** In place: the container sees the same file, mounted before its address was known. */
  async writeAddress(containerId: string, hostname: string, address: string): Promise<void> {
    const path = join(this.#directoryOf(containerId), 'hosts')
    await writeFile(path, hostsText(hostname, address))
  }

  async remove(containerId: string): Promise<void> {
    await rm(this.#directoryOf(containerId), { recursive: true, force: true })
  }

  #directoryOf(containerId: string): string {
    return join(this.#options.stateDirectory, 'files', containerId)
  }

  async #resolvConf(): Promise<string> {
    const { dnsServers, dnsSearch } = this.#options
    if (dnsServers !== undefined) return resolvConfText(dnsServers, dnsSearch)
    for (const path of resolvConfPaths) {
      const servers = nameServersIn(await readFile(path, 'utf8').catch(() => ''))
      if (servers.length > 0) return resolvConfText(servers, dnsSearch)
    }
    return resolvConfText([], dnsSearch)
  }
}

export function hostsText(hostname: string, address: string): string {
  const own = address === '' ? '' : `${address}\t${hostname}\n`
  return `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n${own}`
}

/** Those that a container can reach: not the host's loopback. */
export function nameServersIn(resolvConf: string): readonly string[] {
  return [...resolvConf.matchAll(/^\s*nameserver\s+(\S+)/gm)]
    .map((match) => match[1]!)
    .filter((address) => !address.startsWith('127.') && address !== '::1')
}

export function resolvConfText(servers: readonly string[], search: readonly string[]): string {
  const lines = servers.map((server) => `nameserver ${server}\n`)
  return (search.length > 0 ? `search ${search.join(' ')}\n` : '') + lines.join('')
}
