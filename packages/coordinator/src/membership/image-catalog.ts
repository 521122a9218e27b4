/**
 * Which images are on which nodes, and what each image is made for: as the nodes tell, held in memory.
 *
 * Invariants
 *   1. What is answered depends on what each node told last, never on the order in which they told it: after a restart of
 *      the coordinator the same answers come about again.
 *   2. What nodes say is bounded here, not trusted to be: names, platforms and how many of each.
 *
 * A node tells of two kinds of image. One that is *present* was pulled some time ago, so the platforms of all who have it
 * are added up. One that is *foreign* was just looked for in its registry, which has it for other platforms only: that is
 * news of the registry itself, so it counts alone until the node takes it back.
 */
import type { NodeImage, NodeImages } from '@cloudless/api'

/** What one message changed. */
export interface ImageNews {
  /** The images on the node are others than before. */
  readonly nodeChanged: boolean
  /** Full names of the images whose platforms are others than before. */
  readonly platformsChanged: readonly string[]
}

/** What some nodes say of one image; the same object for all who say the same. */
interface Claim {
  readonly image: KnownImage
  readonly key: string
  readonly isForeign: boolean
  readonly platforms: readonly string[]
  nodeCount: number
}

interface KnownImage {
  readonly name: string
  readonly claims: Map<string, Claim>
  platforms: readonly string[]
}

interface NodeTold {
  readonly present: ReadonlySet<string>
  readonly claims: readonly Claim[]
}

/** Of one node; the newest come first. */
export const imagesOfNodeMax = 500
const nameLengthMax = 512
const platformsMax = 32
const platformShape = /^[a-z0-9_.-]{1,32}(?:\/[a-z0-9_.-]{1,32}){1,2}$/
const none: ReadonlySet<string> = new Set()

/** Of an image of which nothing was told. */
const unknown: readonly string[] = []

export class ImageCatalog {
  readonly #images = new Map<string, KnownImage>()
  readonly #nodes = new Map<string, NodeTold>()

  /** Full names of the images on the node; another set only when they have changed. */
  imagesOf(nodeId: string): ReadonlySet<string> {
    return this.#nodes.get(nodeId)?.present ?? none
  }

  /** What the image is made for, such as "linux/arm64", sorted; empty when nobody knows. `image` is a full name. */
  platformsOf(image: string): readonly string[] {
    return this.#images.get(image)?.platforms ?? unknown
  }

  /** How many images are known by name. */
  get size(): number {
    return this.#images.size
  }

  /** All that the node tells of now, in place of what it told before. */
  tell(nodeId: string, told: NodeImages): ImageNews {
    const before = this.#nodes.get(nodeId)
    const claims = this.#claimsOf(told)
    // The new first: what both hold is not dropped in between.
    for (const claim of claims) claim.nodeCount++
    for (const claim of before?.claims ?? []) this.#release(claim)
    const present = new Set(claims.filter((one) => !one.isForeign).map((one) => one.image.name))
    const nodeChanged = present.symmetricDifference(before?.present ?? none).size > 0
    const kept = nodeChanged ? present : (before?.present ?? none)
    this.#nodes.set(nodeId, { present: kept, claims })
    return { nodeChanged, platformsChanged: this.#merge([...claims, ...(before?.claims ?? [])]) }
  }

  /** The node is no member any more. */
  forget(nodeId: string): ImageNews {
    const before = this.#nodes.get(nodeId)
    if (before === undefined) return { nodeChanged: false, platformsChanged: [] }
    this.#nodes.delete(nodeId)
    for (const claim of before.claims) this.#release(claim)
    return {
      nodeChanged: before.present.size > 0,
      platformsChanged: this.#merge(before.claims),
    }
  }

  /** One for each name, the newest. */
  #claimsOf(told: NodeImages): Claim[] {
    const byName = new Map<string, Claim>()
    for (const image of told.images.slice(0, imagesOfNodeMax)) {
      const { name } = image
      if (name === '' || name.length > nameLengthMax || byName.has(name)) continue
      byName.set(name, this.#claimOf(image))
    }
    return [...byName.values()]
  }

  #claimOf({ name, digest, platforms: told }: NodeImage): Claim {
    let image = this.#images.get(name)
    if (image === undefined) {
      image = { name, claims: new Map(), platforms: [] }
      this.#images.set(name, image)
    }
    const platforms = told.slice(0, platformsMax).filter((one) => platformShape.test(one))
    const isForeign = digest === ''
    const key = `${isForeign ? 'foreign' : 'present'} ${platforms.toSorted().join(' ')}`
    let claim = image.claims.get(key)
    if (claim === undefined) {
      claim = { image, key, isForeign, platforms, nodeCount: 0 }
      image.claims.set(key, claim)
    }
    return claim
  }

  #release(claim: Claim): void {
    const { image, key } = claim
    if (--claim.nodeCount > 0) return
    image.claims.delete(key)
    if (image.claims.size === 0) this.#images.delete(image.name)
  }

  /** Adds up anew what is said of these images; returns the names of those whose platforms are others now. */
  #merge(claims: readonly Claim[]): readonly string[] {
    const changed: string[] = []
    for (const image of new Set(claims.map((one) => one.image))) {
      const before = image.platforms
      image.platforms = platformsSaidBy([...image.claims.values()])
      if (before.join() !== image.platforms.join()) changed.push(image.name)
    }
    return changed
  }
}

function platformsSaidBy(claims: readonly Claim[]): readonly string[] {
  const foreign = claims.filter((one) => one.isForeign && one.platforms.length > 0)
  const counted = foreign.length > 0 ? foreign : claims
  return [...new Set(counted.flatMap((one) => one.platforms))].toSorted()
}
