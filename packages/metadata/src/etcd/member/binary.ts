/** The etcd program: where it is, which version it is, and which flags it knows. */
import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { CloudlessError, messageOf } from '@cloudless/base'

export interface EtcdBinary {
  readonly path: string
  /** Such as "3.4.23". */
  readonly version: string
  /** Without dashes. Versions differ in those that are not needed. */
  readonly flags: ReadonlySet<string>
}

/** The first with learners, which is how a member joins. */
const versionMin = [3, 4] as const
const answerMsMax = 10_000
const usualDirectories = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin']
const howToInstall =
  'install it (Debian: apt-get install etcd-server) or say where it is with --etcd-binary'

/** `failed_precondition` when there is none that can be used, saying how to get one. */
export async function findEtcd(path: string | undefined): Promise<EtcdBinary> {
  const found = path === undefined ? await findOnPath() : await checked(path)
  const version = parseEtcdVersion(await ask(found, '--version'))
  if (version === undefined) {
    throw unusable(`${found} does not say that it is etcd: ${howToInstall}`)
  }
  if (isTooOld(version)) {
    throw unusable(
      `${found} is etcd ${version}, and the metadata store needs ${versionMin.join('.')} or later: ` +
        'install a later one, or say where it is with --etcd-binary',
    )
  }
  if (losesData(version)) {
    throw unusable(
      `${found} is etcd ${version}, which may lose data when it is killed: install a later one`,
    )
  }
  return { path: found, version, flags: parseEtcdFlags(await ask(found, '--help')) }
}

/** Of what `etcd --version` prints; undefined when it is something else. */
export function parseEtcdVersion(text: string): string | undefined {
  return /^etcd Version: (\d+\.\d+\.\d+\S*)/m.exec(text)?.[1]
}

export function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < versionMin[0] || (major === versionMin[0] && minor < versionMin[1])
}

/** The first of 3.5: after a kill, above all while one was defragmented, members could differ (etcd issue 13766). */
export function losesData(version: string): boolean {
  return /^3\.5\.[0-5]\b/.test(version)
}

/** Of what `etcd --help` prints. */
export function parseEtcdFlags(text: string): ReadonlySet<string> {
  return new Set([...text.matchAll(/^\s*--([a-z0-9-]+)/gm)].map((match) => match[1]!))
}

async function findOnPath(): Promise<string> {
  const onPath = (process.env['PATH'] ?? '').split(delimiter).filter((name) => name !== '')
  const directories = [...new Set([...onPath, ...usualDirectories])]
  for (const directory of directories) {
    const path = join(directory, 'etcd')
    if (await mayBeRun(path)) return path
  }
  throw unusable(`there is no etcd in ${directories.join(', ')}: ${howToInstall}`)
}

async function checked(path: string): Promise<string> {
  if (await mayBeRun(path)) return path
  throw unusable(`${path} is not there, or may not be run: ${howToInstall}`)
}

function mayBeRun(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

async function ask(path: string, flag: string): Promise<string> {
  try {
    const { stdout, stderr } = await run(path, [flag], { timeout: answerMsMax })
    return stdout + stderr
  } catch (reason) {
    throw unusable(`${path} ${flag} failed: ${messageOf(reason)}; ${howToInstall}`, reason)
  }
}

const run = promisify(execFile)

function unusable(message: string, cause?: unknown): CloudlessError {
  return new CloudlessError('failed_precondition', `looking for etcd: ${message}`, { cause })
}
