/** Serves until told to stop: the coordinator as a process. */
import { flushCompileCache } from 'node:module'
import type { Clock, Random } from '@cloudless/base'
import { createLogger, type Logger } from '@cloudless/observability'
import { changeEngine } from './change-engine.ts'
import { startCoordinator, type Coordinator } from './coordinator.ts'
import type { EngineKind } from './engine.ts'
import { giveMemoryBack } from './idle-memory.ts'
import { createObserved } from './observed.ts'
import type { CoordinatorSettings } from './settings.ts'

const shutdownMsMax = 30_000
/** By then everything that an ordinary day needs has been loaded. */
const compiledAfterMs = 10_000

interface RunDeps {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** Resolves after an orderly end; rejects when it cannot start or can no longer do its work. */
export async function runCoordinator(
  deps: { readonly clock: Clock; readonly random: Random },
  settings: CoordinatorSettings,
): Promise<void> {
  const told = Promise.withResolvers<string>()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => told.resolve(signal))
  }
  const logger = createLogger({ name: 'coordinator', level: settings.log_level })
  const stopGivingBack = giveMemoryBack(deps.clock)
  const cancelFlush = deps.clock.after(compiledAfterMs, flushCompileCache)
  try {
    const whole = { ...deps, logger }
    for (;;) {
      const wanted = await serveOnce(whole, settings, told.promise)
      if (wanted === undefined) return
      await move(whole, settings, wanted)
    }
  } finally {
    cancelFlush()
    stopGivingBack()
  }
}

/** Resolves when it has ended: with the engine to begin anew with, if that is why. */
async function serveOnce(
  deps: RunDeps,
  settings: CoordinatorSettings,
  told: Promise<string>,
): Promise<EngineKind | undefined> {
  const { clock, logger } = deps
  const coordinator = await start(deps, settings)
  logger.info({ addresses: coordinator.addresses, dataDir: settings.data_dir }, 'serving')
  try {
    const why = await Promise.race([
      told.then((signal) => ({ signal, engine: undefined })),
      coordinator.engineWanted.then((engine) => ({ engine })),
      coordinator.failed,
    ])
    logger.info(why, why.engine ? 'pausing to move the metadata' : 'shutting down')
    return why.engine
  } finally {
    const giveUp = clock.after(shutdownMsMax, () => {
      logger.fatal({ shutdownMsMax }, 'did not end in time')
      process.exit(1)
    })
    await coordinator.close().finally(giveUp)
  }
}

function start(deps: RunDeps, settings: CoordinatorSettings): Promise<Coordinator> {
  return startCoordinator(
    {
      ...deps,
      observe: (store) =>
        createObserved(
          { ...deps, store },
          {
            eventsMax: settings['observability.events_max'],
            coordinatorId: settings['raft.id'],
          },
        ),
    },
    settings,
  )
}

/** What fails leaves the metadata where it was: the coordinator goes on with that. */
async function move(deps: RunDeps, settings: CoordinatorSettings, to: EngineKind): Promise<void> {
  const { clock, logger } = deps
  const startMs = clock.monotonicMs()
  try {
    await changeEngine(deps, settings, to)
    const tookMs = Math.round(clock.monotonicMs() - startMs)
    logger.info({ engine: to, tookMs }, `the metadata is in ${to} now`)
  } catch (reason) {
    logger.error(
      { error: reason },
      `the metadata could not be moved to ${to}: it stays where it was`,
    )
  }
}
