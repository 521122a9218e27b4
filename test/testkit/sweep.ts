/** Removing what an earlier run of the same prefix left behind, however it ended. */
import { listCgroups, removeCgroups } from './cgroups.ts'
import { mustRun, runCommand } from './command.ts'
import { findHostProcesses, killHostProcesses } from './host.ts'
import { destroyNetwork } from './network.ts'
import { closeWayOut } from './outside.ts'
import { removeSmallDisks } from './small-disk.ts'

/** Every host of the prefix, its cgroups, and the network. Disks stay: their directories are the caller's. */
export async function sweep(prefix: string): Promise<void> {
  await killHostProcesses(prefix)
  await removeSmallDisks(prefix)
  await closeWayOut(prefix)
  await destroyNetwork(prefix)
  for (const hostId of listCgroups()) {
    if (hostId.startsWith(`${prefix}.`)) await removeCgroups(hostId)
  }
}

/** What of that prefix is still there, one line each; empty after a clean end. */
export async function findLeftovers(prefix: string): Promise<string[]> {
  const interfaces = await mustRun(['ip', '-br', 'link'])
  const namespaces = await runCommand(['ip', 'netns', 'list'])
  const rules = await runCommand(['iptables-save'])
  return [
    ...findHostProcesses(prefix).map((pid) => `process ${pid}`),
    ...linesWith(interfaces, new RegExp(`^${prefix}0\\b`)).map((line) => `interface ${line}`),
    ...linesWith(namespaces.stdout, new RegExp(`^${prefix}-`)).map((line) => `namespace ${line}`),
    ...linesWith(rules.stdout, new RegExp(`--comment "?${prefix}:`)).map((line) => `rule ${line}`),
    ...listCgroups()
      .filter((hostId) => hostId.startsWith(`${prefix}.`))
      .map((hostId) => `cgroup ${hostId}`),
  ]
}

function linesWith(text: string, pattern: RegExp): string[] {
  return text.split('\n').filter((line) => pattern.test(line))
}
