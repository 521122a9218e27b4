/** Serves until told to stop: the coordinator as a process. */
import { flushCompileCache } from 'node:module'
import type { Clock, Random } from '@cloudless/base'
import { createLogger } from '@cloudless/observability'
import { startCoordinator } from './coordinator.ts'
import { giveMemoryBack } from './idle-memory.ts'
import { createObserved } from './observed.ts'
import type { CoordinatorSettings } from './settings.ts'

const shutdownMsMax = 30_000
/** By then everything that an ordinary day needs has been loaded. */
const compiledAfterMs = 10_000

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
  const coordinator = await startCoordinator(
    {
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
    },
    settings,
  )
  const stopGivingBack = giveMemoryBack(deps.clock)
  const cancelFlush = deps.clock.after(compiledAfterMs, flushCompileCache)
  logger.info({ addresses: coordinator.addresses, dataDir: settings.data_dir }, 'serving')
  try {
    logger.info({ signal: await Promise.race([told.promise, coordinator.failed]) }, 'shutting down')
  } finally {
    cancelFlush()
    stopGivingBack()
    const giveUp = deps.clock.after(shutdownMsMax, () => {
      logger.fatal({ shutdownMsMax }, 'did not end in time')
      process.exit(1)
    })
    await coordinator.close()
    giveUp()
  }
}
