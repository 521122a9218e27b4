/** What bin/agent starts. */
import { main } from './process/main.ts'

// Everything is closed and said by now; a socket that lingers must not hold the process.
process.exit(await main(process.argv.slice(2)))
