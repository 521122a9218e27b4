/** The images of this node as the coordinator is told of them. Pure. */
import { create } from '@bufbuild/protobuf'
import {
  formatImageReference,
  NodeImagesSchema,
  parseImageReference,
  type NodeImages,
} from '@cloudless/api'
import type { ForeignImage, ImageInfo } from '@cloudless/runtime'

const imagesMax = 500

/**
 * Newest first. Foreign ones have no digest, since they are not here; of one that is here as well it is told what its
 * registry offers now.
 */
export function nodeImagesOf(
  present: readonly ImageInfo[],
  foreign: readonly ForeignImage[],
): NodeImages {
  const offered = new Map(foreign.map(({ name, platforms }) => [name, platforms]))
  const here = present
    // By a short name, as after an import, no workload finds it.
    .filter(({ name }) => isFullName(name))
    .toSorted((a, b) => b.createdAtMs - a.createdAtMs || (a.name < b.name ? -1 : 1))
    .map(({ name, digest, bytes, platforms }) => ({
      name,
      digest,
      sizeBytes: BigInt(bytes),
      platforms: [...(offered.get(name) ?? platforms)],
    }))
  const names = new Set(here.map(({ name }) => name))
  const elsewhere = foreign
    .filter(({ name }) => !names.has(name))
    .map(({ name, platforms }) => ({ name, platforms: [...platforms] }))
  return create(NodeImagesSchema, { images: [...elsewhere, ...here].slice(0, imagesMax) })
}

function isFullName(name: string): boolean {
  const parsed = parseImageReference(name)
  return parsed.kind === 'ok' && formatImageReference(parsed.reference) === name
}
