/** `make down`: ends everything of the local cluster and removes every trace but the data. Nothing there is fine. */
import { rmSync } from 'node:fs'
import { CloudlessError } from '@cloudless/base'
import { findLeftovers, sweep } from '@cloudless/test/testkit'
import { coordinatorOf } from './cluster.ts'
import type { Progress } from './progress.ts'
import type { Settings } from './settings.ts'

export async function takeDown(
  settings: Settings,
  progress: Progress,
  options: { readonly removeData: boolean },
): Promise<void> {
  await progress.step('coordinator stopped', () => coordinatorOf(settings).stop())
  await progress.step('hosts, containers and network removed', async () => {
    await sweep(settings.prefix)
    const leftovers = await findLeftovers(settings.prefix)
    if (leftovers.length > 0) {
      throw new CloudlessError('internal', `these could not be removed: ${leftovers.join('; ')}`)
    }
  })
  if (!options.removeData) {
    progress.say(`The data is kept in ${settings.home}; make down DATA=1 removes it.`)
    return
  }
  await progress.step(`data removed (${settings.home})`, async () => {
    rmSync(settings.home, { recursive: true, force: true })
  })
}
