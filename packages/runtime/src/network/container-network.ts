/**
 * The containers' network: a bridge of this node, an address for each container from the node's subnet.
 *
 * What was attached is recorded on tmpfs, because that is how long it lives: until it is detached or the machine is
 * rebooted. The record carries the configuration that DEL must be given, which may differ from today's.
 */
import { CloudlessError } from '@cloudless/base'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ContainerdRuntimeDeps, ResolvedOptions } from '../options.ts'
import { CniPlugins, type CniCall, type CniResult } from './cni-plugin.ts'
import { ensureForwarding } from './forwarding.ts'
import {
  bridgeConfiguration,
  portMappingsOf,
  portmapConfiguration,
  type PortMapping,
} from './network-configuration.ts'
import type { Port } from '@cloudless/api'

/** What is known of an attached container. */
export interface Attachment {
  readonly containerId: string
  /** Without the prefix length. */
  readonly address: string
  readonly bridge: Readonly<Record<string, unknown>>
  readonly portmap?: Readonly<Record<string, unknown>>
}

const interfaceName = 'eth0'

export class ContainerNetwork {
  readonly #deps: ContainerdRuntimeDeps
  readonly #options: ResolvedOptions
  readonly #plugins: CniPlugins
  readonly #directory: string
  readonly #attachments = new Map<string, Attachment>()
  #podCidr = ''
  #forwarding: Promise<void> | undefined

  constructor(deps: ContainerdRuntimeDeps, options: ResolvedOptions) {
    this.#deps = deps
    this.#options = options
    this.#plugins = new CniPlugins(options.cniDirectories)
    this.#directory = join(options.runDirectory, 'networks')
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    this.#load()
  }

  /** The node's subnet, such as "10.244.3.0/24". Containers started from now on get addresses of it. */
  setPodCidr(podCidr: string): void {
    if (podCidr === this.#podCidr) return
    this.#podCidr = podCidr
    this.#forwarding = undefined
  }

  addressOf(containerId: string): string {
    return this.#attachments.get(containerId)?.address ?? ''
  }

  /** Gives the namespace of process `pid` an interface; resolves with its address. */
  async attach(request: {
    readonly containerId: string
    readonly pid: number
    readonly ports: readonly Port[]
    /** Asked for, not demanded. */
    readonly address: string | undefined
  }): Promise<string> {
    const { containerId } = request
    const call: CniCall = {
      command: 'ADD',
      containerId,
      networkNamespace: `/proc/${request.pid}/ns/net`,
      interfaceName,
    }
    await this.#ensureForwarding()
    const mappings = portMappingsOf(request.ports)
    // Recorded before it is made: should we die between, DEL is run for what may be there.
    this.#record({ containerId, address: '', bridge: this.#bridge(), ...this.#mapped(mappings) })
    const { result, bridge } = await this.#addInterface(call, request.address)
    const address = addressIn(result)
    const attachment = { containerId, address, bridge, ...this.#mapped(mappings) }
    this.#record(attachment)
    if (attachment.portmap !== undefined) {
      await this.#plugins.run('portmap', { ...attachment.portmap, prevResult: result }, call)
    }
    return address
  }

  /** Frees the address and the host's ports. The interface itself goes with the container's namespace. */
  async detach(containerId: string): Promise<void> {
    const attachment = this.#attachments.get(containerId)
    if (attachment === undefined) return
    const call: CniCall = { command: 'DEL', containerId, networkNamespace: '', interfaceName }
    if (attachment.portmap !== undefined) {
      await this.#plugins.run('portmap', attachment.portmap, call)
    }
    await this.#plugins.run('bridge', attachment.bridge, call)
    this.#attachments.delete(containerId)
    rmSync(this.#pathOf(containerId), { force: true })
  }

  async #addInterface(
    call: CniCall,
    address: string | undefined,
  ): Promise<{ result: CniResult; bridge: Readonly<Record<string, unknown>> }> {
    if (address !== undefined && address !== '') {
      const bridge = this.#bridge(address)
      try {
        return { result: await this.#plugins.run('bridge', bridge, call), bridge }
      } catch (reason) {
        this.#deps.logger.info(
          { containerId: call.containerId, address, err: reason },
          'The address it had before is not free; it gets another',
        )
      }
    }
    const bridge = this.#bridge()
    return { result: await this.#plugins.run('bridge', bridge, call), bridge }
  }

  #bridge(address?: string): Readonly<Record<string, unknown>> {
    if (this.#podCidr === '') {
      throw new CloudlessError(
        'unavailable',
        'This node has no subnet for containers yet; the coordinator assigns it when the node joins.',
      )
    }
    return bridgeConfiguration({
      bridgeName: this.#options.bridgeName,
      podCidr: this.#podCidr,
      addressDirectory: join(this.#options.runDirectory, 'addresses'),
      mtu: this.#options.mtu,
      address,
    })
  }

  #mapped(mappings: readonly PortMapping[]): Pick<Attachment, 'portmap'> {
    return mappings.length === 0 ? {} : { portmap: portmapConfiguration(mappings) }
  }

  #ensureForwarding(): Promise<void> {
    const forwarding =
      this.#forwarding ?? ensureForwarding({ ...this.#options, podCidr: this.#podCidr })
    this.#forwarding = forwarding
    // Tried again by the next container.
    forwarding.catch(() => {
      if (this.#forwarding === forwarding) this.#forwarding = undefined
    })
    return forwarding
  }

  #record(attachment: Attachment): void {
    this.#attachments.set(attachment.containerId, attachment)
    // A small file on tmpfs: a synchronous write is a few microseconds.
    writeFileSync(this.#pathOf(attachment.containerId), JSON.stringify(attachment))
  }

  #load(): void {
    for (const name of readdirSync(this.#directory)) {
      try {
        const text = readFileSync(join(this.#directory, name), 'utf8')
        const attachment = JSON.parse(text) as Attachment
        this.#attachments.set(attachment.containerId, attachment)
      } catch (reason) {
        this.#deps.logger.warn({ file: name, err: reason }, 'A network record cannot be read')
      }
    }
  }

  #pathOf(containerId: string): string {
    return join(this.#directory, `${containerId}.json`)
  }
}

function addressIn(result: CniResult): string {
  const address = result.ips?.[0]?.address.split('/')[0]
  if (address === undefined) {
    throw new CloudlessError('internal', 'CNI plugin bridge answered without an address.')
  }
  return address
}
