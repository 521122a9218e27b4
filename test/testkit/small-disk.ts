/** A disk of a few megabytes under one directory, to be filled and emptied: a tmpfs, so its end is sharp. */
import { readFileSync } from 'node:fs'
import { CloudlessError } from '@cloudless/base'
import { runCommand, type CommandResult } from './command.ts'

export interface SmallDisk {
  /** Not one byte more fits, and not one file. */
  fill(): Promise<void>
  /** Takes away what `fill` put there. */
  free(): Promise<void>
  /** What was on it is gone. Safe to call twice. */
  remove(): Promise<void>
}

export interface SmallDiskOptions {
  /** The test's prefix, by which `sweep` finds what a killed run left. */
  readonly prefix: string
  readonly directory: string
  readonly megabytes: number
  /** Where the directory is: `host.run`, or here when not given. */
  readonly run?: (command: readonly string[]) => Promise<CommandResult>
}

/** More than an image of the tests has; few, because `fill` makes the rest. */
const filesMax = 5_000

/** What is in the directory already moves onto the disk. Nobody may be using it meanwhile. */
export async function createSmallDisk(options: SmallDiskOptions): Promise<SmallDisk> {
  const { directory, megabytes, prefix, run = runCommand } = options

  async function shell(script: string): Promise<void> {
    const result = await run(['sh', '-ec', script, 'sh', directory])
    if (result.code === 0) return
    throw new CloudlessError('failed_precondition', `small disk ${directory}: ${result.stderr}`)
  }

  await shell(`
    mkdir -p "$1"
    before=$(mktemp -d)
    cp -a "$1/." "$before"
    mount -t tmpfs -o size=${megabytes}m,nr_inodes=${filesMax},mode=700 ${sourceOf(prefix)} "$1"
    cp -a "$before/." "$1"
    rm -rf "$before"
  `)
  return {
    fill: () =>
      shell(`
        mkdir "$1/filler"
        dd if=/dev/zero of="$1/filler/bytes" bs=4k 2>/dev/null || true
        seq -f "$1/filler/%g" ${filesMax} | xargs touch 2>/dev/null || true
      `),
    free: () => shell('rm -rf "$1/filler"'),
    remove: () => shell('! mountpoint -q "$1" || umount -l "$1"'),
  }
}

/** Removes those that a run of the prefix left on this machine; a host's own go with the host. */
export async function removeSmallDisks(prefix: string): Promise<void> {
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [before, after] = line.split(' - ')
    if (after?.split(' ')[1] !== sourceOf(prefix)) continue
    await runCommand(['umount', '-l', before!.split(' ')[4]!])
  }
}

function sourceOf(prefix: string): string {
  return `cloudless-disk-${prefix}`
}
