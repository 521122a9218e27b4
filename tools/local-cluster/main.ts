/** The local cluster behind `make up`, `make down`, `make status` and `make power-off`; run.sh holds the lock. */
import { CloudlessError, messageOf } from '@cloudless/base'
import { checkout } from '@cloudless/test/testkit'
import { coordinatorOf, ctlOf } from './cluster.ts'
import { takeDown } from './down.ts'
import { createProgress } from './progress.ts'
import { powerOffNode } from './power-off.ts'
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
    case 'power-off':
      await powerOffNode(settings, options[0] ?? '')
      progress.say(`The power of ${options[0]} is off. \`make up\` switches it on again.`)
      break
    default:
      throw new CloudlessError(
        'invalid_argument',
        'usage: main.ts up | down [--data] | status | power-off NODE',
      )
  }
} catch (reason) {
  process.stderr.write(`${messageOf(reason)}\n`)
  process.exitCode = 1
}
