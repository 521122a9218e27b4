/** Where an image may be fetched from: its mirrors in order, then its registry. */
import type { RegistryCredential, RegistryOptions } from '../options.ts'

export interface RegistryEndpoint {
  /** As people name it: "docker.io", "mirror.lan:5000". */
  readonly name: string
  /** "https://registry-1.docker.io". */
  readonly origin: string
  readonly isInsecure: boolean
  readonly credentials: readonly RegistryCredential[]
}

/** Docker Hub's registry answers under another name than its images carry. */
const hostByRegistry: Readonly<Record<string, string>> = {
  'docker.io': 'registry-1.docker.io',
}

export function endpointsFor(
  registry: string,
  options: RegistryOptions,
): readonly RegistryEndpoint[] {
  const names = [...(options.mirrors?.[registry] ?? []), registry]
  return names.map((name) => {
    const isInsecure = isLoopback(name) || (options.insecure ?? []).includes(name)
    return {
      name,
      origin: `${isInsecure ? 'http' : 'https'}://${hostByRegistry[name] ?? name}`,
      isInsecure,
      credentials: (options.credentials ?? []).filter((one) => one.registry === name),
    }
  })
}

function isLoopback(name: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/.test(name)
}
