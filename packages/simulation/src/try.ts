import { runSeed } from './run-seed.ts'
process.on('unhandledRejection', (e) => { console.log('UNHANDLED', e) })
const verbose = process.argv[4] === 'x'
for (let seed = +process.argv[2]!; seed <= +process.argv[3]!; seed++) {
  const t = performance.now()
  const r = await runSeed(seed, verbose ? { write: (l) => console.log(l) } : {})
  console.log(seed, (r.simulatedMs / 3.6e6).toFixed(2), 'h', r.events, 'ev', (performance.now() - t).toFixed(0), 'ms', r.fingerprint, r.violations.map((v) => `${(v.atMs/1000).toFixed(3)} ${v.checker}: ${v.message}`).join('\n   ').slice(0, 900))
}
