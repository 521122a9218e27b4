/**
 * Runs the unit tests with the runner's own coverage, prints it by package, and ends with exit code 1 when a package is
 * below what it must reach.
 */
import { rmSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkout, cleanEnvironment, runCommand } from '@cloudless/test/testkit'
import { addByPackage, formatCoverage, parseLcov, shortfalls } from './by-package.ts'

const directory = join(checkout, 'coverage')
const lcovFile = join(directory, 'lcov.info')

rmSync(directory, { recursive: true, force: true })
mkdirSync(directory)
const run = await runCommand(
  [
    'node',
    '--test',
    '--test-isolation=none',
    '--experimental-test-coverage',
    '--test-coverage-include=packages/*/src/**',
    '--test-coverage-exclude=**/gen/**',
    '--test-coverage-exclude=**/*.test.ts',
    '--test-reporter=lcov',
    `--test-reporter-destination=${lcovFile}`,
    '--test-reporter=dot',
    '--test-reporter-destination=stdout',
    ...process.argv.slice(2),
  ],
  { cwd: checkout, env: cleanEnvironment(), deadlineMs: 600_000 },
)
process.stdout.write(run.code === 0 ? '' : run.stdout + run.stderr)

const packages = addByPackage(parseLcov(readFileSync(lcovFile, 'utf8')))
process.stdout.write(`${formatCoverage(packages)}\n`)
const short = shortfalls(packages)
for (const line of short) process.stderr.write(`${line}\n`)
process.exitCode = run.code === 0 && short.length === 0 ? 0 : 1
