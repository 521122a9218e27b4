/** The process that kill.test.ts kills: writes pairs for ever, saying which were acknowledged. */
import { seededRandom, systemClock } from '@cloudless/base'
import { createSqliteStore } from './sqlite-store.ts'

const path = process.argv[2]!
const deps = { clock: systemClock, random: seededRandom(process.pid) }
const store = await createSqliteStore(deps, { path })
const start = (await store.status()).revision
process.stdout.write('ready\n')

async function writeForEver(writer: number): Promise<never> {
  for (let n = 0; ; n++) {
    const name = `${start}-${writer}-${n}`
    const value = Buffer.from(name.padEnd(300, '.'))
    await store.transact({
      writes: [
        { kind: 'put', key: `left/${name}`, value },
        { kind: 'put', key: `right/${name}`, value },
        { kind: 'put', key: `newest/${writer}`, value },
      ],
    })
    process.stdout.write(`${name}\n`)
  }
}

await Promise.all([0, 1, 2, 3].map(writeForEver))
