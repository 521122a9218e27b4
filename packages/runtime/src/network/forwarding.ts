/**
 * The node's packet filter rules for containers: forwarding to and from the bridge, and masquerading of what leaves
 * the node. Made once for the subnet, not for each container.
 */
import { CloudlessError } from '@cloudless/base'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)
const deadlineMs = 10_000

export interface ForwardingOptions {
  /** The node's subnet for containers. */
  readonly podCidr: string
  /** Every node's: reached unmasqueraded. */
  readonly clusterCidr: string
  readonly bridgeName: string
}

export interface ForwardingRule {
  readonly table: string
  readonly chain: string
  readonly rule: readonly string[]
}

/** iptables arguments after "-A CHAIN" or its siblings, by table and chain. */
export function forwardingRules({
  podCidr,
  clusterCidr,
  bridgeName,
}: ForwardingOptions): readonly ForwardingRule[] {
  const comment = ['-m', 'comment', '--comment', `cloudless ${bridgeName}`]
  return [
    {
      table: 'nat',
      chain: 'POSTROUTING',
      rule: ['-s', podCidr, '!', '-d', clusterCidr, ...comment, '-j', 'MASQUERADE'],
    },
    {
      table: 'filter',
      chain: 'FORWARD',
      rule: ['-i', bridgeName, ...comment, '-j', 'ACCEPT'],
    },
    {
      table: 'filter',
      chain: 'FORWARD',
      rule: ['-o', bridgeName, ...comment, '-j', 'ACCEPT'],
    },
  ]
}

/** Adds the rules that are missing. */
export async function ensureForwarding(options: ForwardingOptions): Promise<void> {
  for (const { table, chain, rule } of forwardingRules(options)) {
    if (await iptables(table, ['-C', chain, ...rule])) continue
    // First, so that a firewall's final refusal does not come before it.
    const done = await iptables(table, ['-I', chain, '1', ...rule])
    if (!done) throw failed(table, chain, rule)
  }
}

/** Removes the rules and the bridge: for a node that leaves. Absent ones are fine. */
export async function removeNetwork(options: ForwardingOptions): Promise<void> {
  for (const { table, chain, rule } of forwardingRules(options)) {
    await iptables(table, ['-D', chain, ...rule])
  }
  await run('ip', ['link', 'delete', options.bridgeName], { timeout: deadlineMs }).catch(() => {
    // It is not there: nothing was ever started, or it went with its namespace.
  })
}

/** Whether iptables did it; throws only when it cannot be run at all. */
async function iptables(table: string, args: readonly string[]): Promise<boolean> {
  try {
    await run('iptables', ['-w', '5', '-t', table, ...args], {
      timeout: deadlineMs,
      env: { PATH: '/usr/sbin:/sbin:/usr/bin:/bin' },
    })
    return true
  } catch (reason) {
    if (typeof (reason as { code?: unknown }).code === 'number') return false
    throw CloudlessError.from(
      reason,
      'Could not run iptables, which containers need to reach other machines; install the package iptables',
    )
  }
}

function failed(table: string, chain: string, rule: readonly string[]): CloudlessError {
  return new CloudlessError(
    'unavailable',
    `iptables did not take the rule "-t ${table} -I ${chain} 1 ${rule.join(' ')}". ` +
      'Is the kernel missing its modules (xt_MASQUERADE, xt_comment)?',
  )
}
