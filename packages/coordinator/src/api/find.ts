/** Names and ids of requests to records, or the error that says what there is not. */
import { CloudlessError, problemWithLabel } from '@cloudless/base'
import { namespaceDefault, type NodeRecord, type WorkloadRecord } from '@cloudless/api'
import type { ClusterState, Held } from '../state/cluster-state.ts'

export function workloadIdOf(namespace: string, name: string): string {
  return `${namespace || namespaceDefault}-${name}`
}

export function requireNode(state: ClusterState, idOrName: string): Held<NodeRecord> {
  if (idOrName === '') throw new CloudlessError('invalid_argument', 'node_id: must not be empty')
  const held = state.findNode(idOrName)
  if (held) return held
  throw new CloudlessError(
    'not_found',
    `there is no node with the name or id "${idOrName}"; \`cloudlessctl node list\` shows them`,
  )
}

/**
 * Ids do not tell "a-b" and "c" from "a" and "b-c": who asks by name gets what has that name in that namespace, or
 * nothing.
 */
export function findWorkload(
  state: ClusterState,
  namespace: string,
  name: string,
): Held<WorkloadRecord> | undefined {
  const held = state.held('workload', workloadIdOf(namespace, name))
  return held?.record.workload!.name === name ? held : undefined
}

/** By name in the namespace, else by id. */
export function requireWorkload(
  state: ClusterState,
  idOrName: string,
  namespace: string,
): Held<WorkloadRecord> {
  if (idOrName === '') {
    throw new CloudlessError('invalid_argument', 'workload_id: must not be empty')
  }
  const problem = namespace === '' ? undefined : problemWithLabel(namespace)
  if (problem) throw new CloudlessError('invalid_argument', `namespace: ${problem}`)
  const held = findWorkload(state, namespace, idOrName) ?? state.held('workload', idOrName)
  if (held) return held
  throw noWorkload(namespace, idOrName)
}

export function noWorkload(namespace: string, name: string): CloudlessError {
  return new CloudlessError(
    'not_found',
    `there is no workload "${name}" in namespace "${namespace || namespaceDefault}"; ` +
      '`cloudlessctl workload list -A` shows all',
  )
}

/** Whether every label asked for is there. */
export function matchesLabels(
  labels: Readonly<Record<string, string>>,
  selector: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value)
}
