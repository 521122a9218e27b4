/** Makes what a container's volumes need on the host before it starts. */
import { CloudlessError, isUnderAny, systemCodeOf } from '@cloudless/base'
import { chmod, chown, mkdir, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { PlannedVolume } from '../oci/mounts.ts'

export interface VolumePreparation {
  readonly hostPathPrefixes: readonly string[]
  /** Owns the emptyDir volumes; undefined: root. */
  readonly fsGroup: number | undefined
}

/** What is there already stays: an emptyDir outlives the restarts of its container. */
export async function prepareVolumes(
  volumes: readonly PlannedVolume[],
  preparation: VolumePreparation,
): Promise<void> {
  for (const planned of volumes) {
    switch (planned.kind) {
      case 'directory':
        await makeEmptyDirectory(planned.path, preparation.fsGroup)
        break
      case 'files':
        await writeFiles(planned.path, planned.files)
        break
      case 'host':
        await checkHostPath(planned, preparation.hostPathPrefixes)
        break
      case 'memory':
        break
    }
  }
}

async function makeEmptyDirectory(path: string, group: number | undefined): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o755 })
  if (group === undefined) return chmod(path, 0o777)
  await chown(path, 0, group)
  // New files get the directory's group.
  await chmod(path, 0o2775)
}

async function writeFiles(path: string, files: Readonly<Record<string, string>>): Promise<void> {
  await rm(path, { recursive: true, force: true })
  await mkdir(path, { recursive: true, mode: 0o755 })
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(path, name), text, { mode: 0o644 })
  }
}

async function checkHostPath(
  planned: Extract<PlannedVolume, { kind: 'host' }>,
  prefixes: readonly string[],
): Promise<void> {
  const { path, type, volume } = planned
  if (type === 'DirectoryOrCreate') await mkdir(path, { recursive: true, mode: 0o755 })
  const found = await stat(path).catch((reason: unknown) => {
    if (systemCodeOf(reason) === 'ENOENT') return undefined
    throw CloudlessError.from(reason, `Volume "${volume.name}"`)
  })
  const fits = type === 'File' ? found?.isFile() : found?.isDirectory()
  if (!fits) {
    const wanted = type === 'File' ? 'file' : 'directory'
    throw new CloudlessError(
      'failed_precondition',
      `Volume "${volume.name}": ${path} is no ${wanted} on this node. Make it, or select other nodes.`,
    )
  }
  // A symbolic link must not lead out of what is allowed.
  const target = await realpath(path)
  const realPrefixes = await Promise.all(
    prefixes.map((prefix) => realpath(prefix).catch(() => prefix)),
  )
  if (!isUnderAny(target, realPrefixes)) {
    throw new CloudlessError(
      'permission_denied',
      `Volume "${volume.name}": ${path} leads to ${target}, which this node does not allow. ` +
        "Add it to features.host_path_prefixes in the agent's configuration.",
    )
  }
}
