/** What a method without a handler answers: a sentence that says what it waits for. */
import { CloudlessError } from '@cloudless/base'

const ownerByService: Readonly<Record<string, string>> = {
  'cloudless.api.v1.StorageService': 'the storage subsystem (buckets, objects and volumes)',
  'cloudless.api.v1.NetworkService': 'the service network (virtual addresses, DNS and balancing)',
  'cloudless.api.v1.SecretsService':
    'the secrets subsystem (envelope encryption and access tokens)',
}

export function explainUnimplemented(method: {
  readonly name: string
  readonly parent: { readonly typeName: string }
}): CloudlessError {
  const owner = ownerByService[method.parent.typeName]
  const waiting =
    owner === undefined
      ? 'this coordinator does not serve it'
      : `it belongs to ${owner}, which this version of Cloudless does not include yet`
  const name = `${method.parent.typeName}/${method.name}`
  return new CloudlessError('unimplemented', `${name} is not implemented: ${waiting}`)
}
