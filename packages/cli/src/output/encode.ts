/** Messages as JSON and YAML: the API's field names, two spaces, a list as {"items": [...]}. */
import { toJson, type DescMessage, type JsonValue, type MessageShape } from '@bufbuild/protobuf'

/** Every field is there, zero or not, so that scripts need no defaults of their own. */
export function messageToJson<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): JsonValue {
  return toJson(schema, message, { alwaysEmitImplicit: true })
}

export async function encode(value: JsonValue, format: 'json' | 'yaml'): Promise<string> {
  if (format === 'json') return `${JSON.stringify(value, undefined, 2)}\n`
  const { stringify } = await import('yaml')
  return stringify(value, { indent: 2, lineWidth: 0, aliasDuplicateObjects: false })
}
