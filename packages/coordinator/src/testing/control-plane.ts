/**
 * For benches: the coordinator's store, state and controllers as the program starts them, without its API. Its nodes are
 * records without agents: they are as after a restart, when the nodes that were there before have a while to return.
 */
import { join } from 'node:path'
import { loadConfiguration, systemClock, systemRandom } from '@cloudless/base'
import { createLogger } from '@cloudless/observability'
import { startControlPlane } from '../process/control-plane.ts'
import { openFoundation, type FoundationDeps } from '../process/foundation.ts'
import { createObserved } from '../process/observed.ts'
import { optionsOf } from '../process/options.ts'
import { coordinatorSettings, type CoordinatorSettings } from '../process/settings.ts'
import type { ClusterState } from '../state/cluster-state.ts'

export interface ControlPlaneOptions {
  /** A new directory on a disk: whatever is committed is on it. */
  readonly directory: string
  /** Flags of the program, beside those for its directory. */
  readonly flags?: readonly string[]
  /** Stores what was there before the controllers started. */
  readonly prepare: (state: ClusterState) => Promise<void>
}

export interface RunningControlPlane {
  readonly state: ClusterState
  /** Rejects when the state can no longer follow the store. */
  readonly failed: Promise<never>
  close(): Promise<void>
}

export async function openControlPlane(options: ControlPlaneOptions): Promise<RunningControlPlane> {
  await using opened = new AsyncDisposableStack()
  const settings = settingsOf([
    ...['--data-dir', join(options.directory, 'coordinator')],
    ...['--membership-return-grace', '24h', ...(options.flags ?? [])],
  ])
  const foundation = await openFoundation(depsOf(settings), settings, opened)
  await options.prepare(foundation.state)
  startControlPlane({ ...foundation, load: { isHigh: false } }, optionsOf(settings), opened)
  const all = opened.move()
  const { state, failed } = foundation
  return { state, failed, close: () => all.disposeAsync() }
}

function depsOf(settings: CoordinatorSettings): FoundationDeps {
  const deps = { clock: systemClock, random: systemRandom }
  const logger = createLogger(
    { name: 'coordinator', level: settings.log_level, format: 'json' },
    { write: () => undefined },
  )
  return {
    ...deps,
    logger,
    observe: (store) =>
      createObserved(
        { ...deps, store, logger },
        {
          eventsMax: settings['observability.events_max'],
          coordinatorId: settings['raft.id'],
        },
      ),
  }
}

function settingsOf(args: readonly string[]): CoordinatorSettings {
  const result = loadConfiguration(coordinatorSettings, { args, env: {}, readFile: () => ({}) })
  if (result.kind === 'ok') return result.values
  throw new Error(JSON.stringify(result))
}
