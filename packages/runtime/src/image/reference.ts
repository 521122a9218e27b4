/** Image names taken apart for the registry. What a name means is the API's to say, so that the cluster says it once. */
import { formatImageReference, parseImageReference as parseName } from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'

export interface ImageReference {
  /** The full name under which containerd keeps the image: "docker.io/library/nginx:1.25". */
  readonly name: string
  /** Host and port as in the name: "docker.io", "localhost:5000". */
  readonly registry: string
  /** "library/nginx". */
  readonly repository: string
  /** Empty when there is only a digest. */
  readonly tag: string
  /** "sha256:..."; empty when there is none. */
  readonly digest: string
}

/** Short names mean docker.io/library; no tag and no digest means "latest". Throws invalid_argument. */
export function parseImageReference(text: string): ImageReference {
  const parsed = parseName(text)
  if (parsed.kind === 'invalid') throw problem(text, parsed.problem)
  const { registry, repository, tag = '', digest = '' } = parsed.reference
  // What is fetched is checked against its digest, and this is the one we can make.
  if (digest !== '' && !digest.startsWith('sha256:')) {
    throw problem(text, 'must have a digest of SHA-256')
  }
  return { name: formatImageReference(parsed.reference), registry, repository, tag, digest }
}

function problem(text: string, what: string): CloudlessError {
  return new CloudlessError(
    'invalid_argument',
    `"${text.slice(0, 64)}" is not an image name: it ${what}.`,
  )
}
