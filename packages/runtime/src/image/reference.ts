/** Image names as people write them, taken apart for the registry. */
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

const nameLengthMax = 512
const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const repositoryShape = new RegExp(`^${component}(?:/${component})*$`)
const registryShape =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[a-fA-F0-9:]+\])(?::[0-9]{1,5})?$/
const tagShape = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/
const digestShape = /^sha256:[a-f0-9]{64}$/

/** Short names mean docker.io/library; no tag and no digest means "latest". Throws invalid_argument. */
export function parseImageReference(text: string): ImageReference {
  if (text.length === 0 || text.length > nameLengthMax) {
    throw problem(text.slice(0, 64), `must have 1 to ${nameLengthMax} characters`)
  }
  const [beforeDigest = '', digest = '', ...rest] = text.split('@')
  if (rest.length > 0) throw problem(text, 'has more than one "@"')
  if (digest !== '' && !digestShape.test(digest)) {
    throw problem(text, 'the digest must be "sha256:" and 64 hex digits')
  }
  const colon = beforeDigest.lastIndexOf(':')
  const hasTag = colon > beforeDigest.lastIndexOf('/')
  const path = hasTag ? beforeDigest.slice(0, colon) : beforeDigest
  const tag = hasTag ? beforeDigest.slice(colon + 1) : digest === '' ? 'latest' : ''
  if ((hasTag || digest === '') && !tagShape.test(tag)) {
    throw problem(text, `"${tag}" is not a tag`)
  }
  const { registry, repository } = splitPath(path)
  if (!registryShape.test(registry)) throw problem(text, `"${registry}" is not a registry`)
  if (!repositoryShape.test(repository)) {
    throw problem(text, `"${repository}" is not a repository (lower case, digits, ".", "_", "-")`)
  }
  const name = `${registry}/${repository}` + (tag && `:${tag}`) + (digest && `@${digest}`)
  return { name, registry, repository, tag, digest }
}

function splitPath(path: string): { registry: string; repository: string } {
  const slash = path.indexOf('/')
  const first = slash === -1 ? '' : path.slice(0, slash)
  const isHost = first === 'localhost' || first.includes('.') || first.includes(':')
  if (!isHost) {
    const repository = path.includes('/') ? path : `library/${path}`
    return { registry: 'docker.io', repository }
  }
  const registry = first === 'index.docker.io' ? 'docker.io' : first
  const rest = path.slice(slash + 1)
  const isShort = registry === 'docker.io' && !rest.includes('/')
  return { registry, repository: isShort ? `library/${rest}` : rest }
}

function problem(text: string, what: string): CloudlessError {
  return new CloudlessError('invalid_argument', `"${text}" is not an image name: ${what}.`)
}
