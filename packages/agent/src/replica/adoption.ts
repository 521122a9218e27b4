/** What a container that an agent finds at its start means for its replica. Pure. */
import type { ContainerInfo } from '@cloudless/runtime'
import type { ReplicaEvent, ReplicaMachine } from './replica-state.ts'
import { gatesReadiness } from './spec-probes.ts'

/** In order; none when it is to be begun as if nothing had been found. `readyBefore`: as the record says. */
export function planAdoption(
  state: ReplicaMachine,
  container: ContainerInfo,
  readyBefore: boolean,
): readonly ReplicaEvent[] {
  if (state.stage !== 'new') return []
  if (container.state !== 'running' && container.state !== 'stopped') return []
  const { startedAtMs, exitCode, finishedAtMs } = container
  if (startedAtMs === 0) return [] // Made and never started.
  const address = container.address || state.address
  const ready = readyBefore || !gatesReadiness(state.assignment.spec)
  const adopt = { kind: 'adopt', address, startedAtMs, ready } as const
  // It was to be stopped when the agent ended.
  if (state.suspended) {
    const message = state.message || 'stopped without the coordinator'
    return container.state === 'running' ? [adopt, { kind: 'suspend', message }] : []
  }
  if (container.state === 'running') return [adopt]
  return [adopt, { kind: 'exited', exitCode, oomKilled: false, finishedAtMs }]
}
