/**
 * Names of container images, as people write them and as registries want them.
 *
 *     nginx                      ->  docker.io / library/nginx : latest
 *     ghcr.io/me/app:1.2         ->  ghcr.io   / me/app        : 1.2
 *     localhost:5000/app@sha256: ->  localhost:5000 / app      @ sha256:...
 */

export interface ImageReference {
  /** Host and optional port: "docker.io", "localhost:5000". */
  readonly registry: string
  /** "library/nginx". */
  readonly repository: string
  /** Undefined only when there is a digest and no tag was written. */
  readonly tag: string | undefined
  /** "sha256:" and 64 hex digits; wins over the tag. */
  readonly digest: string | undefined
}

export type ImageReferenceResult =
  | { readonly kind: 'ok'; readonly reference: ImageReference }
  /** The problem reads on after the field's name: "must not be empty". */
  | { readonly kind: 'invalid'; readonly problem: string }

const lengthMax = 512
const repositoryLengthMax = 255
const hostLabel = '[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?'
const registryShape = new RegExp(
  `^(?:${hostLabel}(?:\\.${hostLabel})*|\\[[0-9a-fA-F:]+\\])(?::[0-9]{1,5})?$`,
)
const componentShape = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/
const tagShape = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/
const digestShape = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/

export function parseImageReference(text: string): ImageReferenceResult {
  if (text === '') return invalid('must not be empty')
  if (text.length > lengthMax) return invalid(`must have at most ${lengthMax} characters`)

  const [named, digest, ...rest] = text.split('@')
  if (rest.length > 0) return invalid('must have at most one "@"')
  if (digest !== undefined && !digestShape.test(digest)) {
    return invalid('must have "sha256:" and 64 lower-case hex digits after "@"')
  }

  const { registry, remainder } = splitRegistry(named!)
  if (!registryShape.test(registry)) return invalid(`has a malformed registry "${registry}"`)

  const colon = remainder.indexOf(':')
  const path = colon < 0 ? remainder : remainder.slice(0, colon)
  const tag = colon < 0 ? undefined : remainder.slice(colon + 1)
  if (tag !== undefined && !tagShape.test(tag)) {
    return invalid('must have 1 to 128 letters, digits, "_", "." or "-" after ":"')
  }
  if (path === '' || path.length > repositoryLengthMax) {
    return invalid(`must have a name of 1 to ${repositoryLengthMax} characters`)
  }
  if (!path.split('/').every((component) => componentShape.test(component))) {
    return invalid(
      `has a malformed name "${path}": ` +
        'use lower-case letters and digits, with "-", "_", "." or "/" between',
    )
  }

  const official = registry === 'docker.io' && !path.includes('/')
  return {
    kind: 'ok',
    reference: {
      registry,
      repository: official ? `library/${path}` : path,
      tag: tag ?? (digest === undefined ? 'latest' : undefined),
      digest,
    },
  }
}

/** In full: "docker.io/library/nginx:latest". */
export function formatImageReference(reference: ImageReference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`
  return `${reference.registry}/${reference.repository}${tag}${digest}`
}

/** The full name of an image; `text` itself when it is no image's name. */
export function normaliseImage(text: string): string {
  const result = parseImageReference(text)
  return result.kind === 'ok' ? formatImageReference(result.reference) : text
}

/** The first part is a registry only when it looks like a host: it has a dot or a port, or is "localhost". */
function splitRegistry(named: string): { readonly registry: string; readonly remainder: string } {
  const slash = named.indexOf('/')
  const first = slash < 0 ? '' : named.slice(0, slash)
  if (!/[.:]/.test(first) && first !== 'localhost') {
    return { registry: 'docker.io', remainder: named }
  }
  const remainder = named.slice(slash + 1)
  return { registry: first === 'index.docker.io' ? 'docker.io' : first, remainder }
}

function invalid(problem: string): ImageReferenceResult {
  return { kind: 'invalid', problem }
}
