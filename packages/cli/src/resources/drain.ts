/** How people are told of a drain. */
import { NodePhase, type Node } from '@cloudless/api'
import { counted } from '@cloudless/base'
import { nodeStatus } from './node.ts'

/** How far it is, then a line for each replica that is left. */
export function drainLines(node: Node): string[] {
  const left = leftToDrain(node)
  const { total = 0, daemons = 0, waiting = [] } = node.drain ?? {}
  const of = total > 0 ? ` of ${total}` : ''
  const staying = daemons > 0 ? `, besides ${counted(daemons, 'daemon')}` : ''
  const title = `node ${node.name} (${nodeStatus(node)}): ${counted(left, 'replica')} left${of}${staying}`
  const away =
    node.status?.phase === NodePhase.OFFLINE ? ['  it is away: its work is replaced'] : []
  const unsaid = left - waiting.length
  const more = waiting.length > 0 && unsaid > 0 ? [`  and ${unsaid} more`] : []
  return [title, ...away, ...waiting.map((line) => `  ${line}`), ...more]
}

/** What is lost with a node, and its daemons, are not waited for. */
export function leftToDrain(node: Node): number {
  return node.drain?.left ?? node.replicaCount
}
