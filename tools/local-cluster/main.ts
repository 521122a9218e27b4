/** The local cluster behind `make up`, `make down` and `make status`; run.sh holds the lock. */
import { CloudlessError, messageOf } from '@cloudless/base'
import { checkout } from '@cloudless/test/testkit'
import { coordinatorOf, ctlOf } from './cluster.ts'
import { takeDown } from './down.ts'
import { createProgress } from './progress.ts'
import { readSettings } from './settings.ts'
import { summarize } from './summary.ts'
import { bringUp } from './up.ts'

const [action = '', ...options] = process.argv.slice(2)

try {
  const settings = readSettings(process.env, checkout)
  const progress = createProgress(process.stdout)
  switch (action) {
    case 'up':
      await bringUp(settings, progress)
      break
    case 'down':
      await takeDown(settings, progress, { removeData: options.includes('--data') })
      break
    case 'status':
      if (coordinatorOf(settings).process() === undefined) {
        throw new CloudlessError(
          'unavailable',
          `no coordinator is running from ${settings.home}. Start one with \`make up\`.`,
        )
      }
      progress.say(await summarize(settings, ctlOf(settings)))
      break
    default:
      throw new CloudlessError('invalid_argument', 'usage: main.ts up | down [--data] | status')
  }
} catch (reason) {
  process.stderr.write(`${messageOf(reason)}\n`)
  process.exitCode = 1
}
