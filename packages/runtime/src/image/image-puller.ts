/** Making images present. */
import { CloudlessError, randomId } from '@cloudless/base'
import type { ContainerdClient } from '../containerd/client.ts'
import { callContainerd } from '../containerd/errors.ts'
import type { ContainerdRuntimeDeps } from '../options.ts'
import { ImageStore, type LocalImage } from './image-store.ts'
import { parseImageReference } from './reference.ts'

export class ImagePuller {
  readonly #deps: ContainerdRuntimeDeps
  readonly #client: ContainerdClient
  readonly #store: ImageStore

  constructor(deps: ContainerdRuntimeDeps, client: ContainerdClient) {
    this.#deps = deps
    this.#client = client
    this.#store = new ImageStore(client)
  }

  async local(text: string): Promise<LocalImage> {
    const { name } = parseImageReference(text)
    const image = await this.#store.find(name)
    if (image !== undefined) return image
    throw new CloudlessError('not_found', `Image ${name} is not on this node. Pull it first.`)
  }

  async unpack(image: LocalImage): Promise<void> {
    const id = `cloudless-${randomId(this.#deps.random, 12)}`
    await callContainerd('take a lease', () => this.#client.leases.create({ id }))
    await this.#store.unpack(image, id)
    await this.#client.leases.delete({ id })
  }
}
