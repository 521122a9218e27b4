/** What a node says of itself that can change while it is connected: what it can do, and what of it replicas may use. */
import { equals, type DescMessage, type MessageShape } from '@bufbuild/protobuf'
import {
  NodeCapabilitiesSchema,
  ResourceCapacitySchema,
  type Node,
  type NodeCapabilities,
  type ResourceCapacity,
} from '@cloudless/api'

/** What is undefined was not said. */
export interface ToldFacts {
  readonly capabilities?: NodeCapabilities | undefined
  readonly allocatable?: ResourceCapacity | undefined
}

/** `before` with what the message adds; the very same when it says nothing new. */
export function toldBy(message: ToldFacts, before: ToldFacts = {}): ToldFacts {
  const { capabilities = before.capabilities, allocatable = before.allocatable } = message
  const told = { capabilities, allocatable }
  return sameFacts(told, before) ? before : told
}

/** The node as it says it is; the very same when that is on record. */
export function withTold(node: Node, told: ToldFacts): Node {
  const { capabilities = node.capabilities, allocatable = node.allocatable } = told
  if (sameFacts({ capabilities, allocatable }, node)) return node
  return { ...node, ...(capabilities && { capabilities }), ...(allocatable && { allocatable }) }
}

function sameFacts(one: ToldFacts, other: ToldFacts): boolean {
  return (
    same(NodeCapabilitiesSchema, one.capabilities, other.capabilities) &&
    same(ResourceCapacitySchema, one.allocatable, other.allocatable)
  )
}

function same<Schema extends DescMessage>(
  schema: Schema,
  one: MessageShape<Schema> | undefined,
  other: MessageShape<Schema> | undefined,
): boolean {
  if (one === undefined || other === undefined) return one === other
  return equals(schema, one, other)
}
