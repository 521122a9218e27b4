/** What bin/agent starts. */
import { main } from './process/main.ts'

process.exitCode = await main(process.argv.slice(2))
