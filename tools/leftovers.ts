/** After the tests: nothing of theirs may be left. Prints what is, and then ends with exit code 1. */
import { readFileSync } from 'node:fs'
import { mustRun, runCommand } from '@cloudless/test/testkit'

/** Shims, mounts and cgroups of containers, whoever started them; devices and namespaces of the testkit. */
async function findAnyLeftovers(): Promise<string[]> {
  const processes = await mustRun(['ps', '-eo', 'pid,args', '--no-headers'])
  const namespaces = await runCommand(['ip', 'netns', 'list'])
  const links = await mustRun(['ip', '-br', 'link'])
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
  return [
    ...matching(
      processes,
      /containerd-shim|host-init\.sh|packages\/(agent|coordinator)\/src|etcd --name/,
    ),
    ...matching(namespaces.stdout, /-hub\b/),
    ...matching(links, /^c[a-z-]*0@/),
    ...matching(mounts, /cloudless|containerd/),
    ...matching(await cgroupsLeft(), /./),
  ]
}

async function cgroupsLeft(): Promise<string> {
  const found = await runCommand([
    'find',
    '/sys/fs/cgroup',
    '-maxdepth',
    '2',
    '-name',
    'cloudless*',
  ])
  return found.stdout
}

function matching(text: string, pattern: RegExp): string[] {
  return text.split('\n').filter((line) => pattern.test(line))
}

const leftovers = await findAnyLeftovers()
for (const line of leftovers) process.stdout.write(`left behind: ${line}\n`)
process.exitCode = leftovers.length === 0 ? 0 : 1
