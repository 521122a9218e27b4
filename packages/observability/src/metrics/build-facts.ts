/** Which build of the program runs: what its packager wrote into the environment, else what the checkout it runs from says. */
import { readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { ProcessFacts } from './process-metrics.ts'

const checkout = resolve(import.meta.dirname, '../../../..')

/** From CLOUDLESS_GIT_COMMIT and CLOUDLESS_BUILD_TIME, else from git's files in `directory`; read once, at start. */
export function buildFacts(
  env: Readonly<Record<string, string | undefined>> = process.env,
  directory: string = checkout,
): Omit<ProcessFacts, 'component'> {
  const gitCommit =
    env['CLOUDLESS_GIT_COMMIT'] || orUndefined(() => headOf(join(directory, '.git')))
  const buildTime = env['CLOUDLESS_BUILD_TIME']
  return {
    ...(gitCommit ? { gitCommit } : {}),
    ...(buildTime ? { buildTime } : {}),
  }
}

function headOf(gitDirectory: string): string | undefined {
  if (statSync(gitDirectory).isFile()) return headOfWorktree(gitDirectory)
  return commitOf(gitDirectory, gitDirectory)
}

/** In a linked work tree `.git` is a file that names a directory, where HEAD is; the branches are in the common one. */
function headOfWorktree(file: string): string | undefined {
  const own = /^gitdir: (.+)$/m.exec(readFileSync(file, 'utf8'))?.[1]
  if (own === undefined) return undefined
  const common = orUndefined(() => readFileSync(join(own, 'commondir'), 'utf8').trim()) ?? '.'
  return commitOf(own, resolve(own, common))
}

function commitOf(gitDirectory: string, commonDirectory: string): string | undefined {
  const head = readFileSync(join(gitDirectory, 'HEAD'), 'utf8').trim()
  if (!head.startsWith('ref: ')) return requireHash(head)
  const ref = head.slice('ref: '.length)
  const loose = orUndefined(() => readFileSync(join(commonDirectory, ref), 'utf8').trim())
  if (loose !== undefined) return requireHash(loose)
  const packed = readFileSync(join(commonDirectory, 'packed-refs'), 'utf8').split('\n')
  return requireHash(packed.find((line) => line.endsWith(` ${ref}`))?.split(' ')[0] ?? '')
}

function requireHash(text: string): string | undefined {
  return /^[0-9a-f]{40,64}$/.test(text) ? text : undefined
}

/** What is not there is not known; that is no reason not to start. */
function orUndefined<Value>(read: () => Value): Value | undefined {
  try {
    return read()
  } catch {
    return undefined // As said above.
  }
}
