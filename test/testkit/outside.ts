/**
 * The way out for a network of hosts: what this machine reaches they reach too, behind its address, so that agents can
 * pull images. What this changes on the machine is written in the rules' own comment, and taken back from there.
 */
import { readFileSync } from 'node:fs'
import { mustRun, runCommand } from './command.ts'
import type { Network } from './network.ts'

const forwardSetting = '/proc/sys/net/ipv4/ip_forward'

/** Lets the hosts out. Idempotent; ends with `closeWayOut`. */
export async function openWayOut(network: Network): Promise<void> {
  await mustRun([
    ...['ip', '-n', network.hubNamespace],
    ...['route', 'replace', 'default', 'via', network.legAddress],
  ])
  if ((await rulesOf(network.prefix)).length > 0) return
  const before = readFileSync(forwardSetting, 'utf8').trim()
  const hosts = `${network.subnet}.0/24`
  const leg = network.legDevice
  const comment = ['-m', 'comment', '--comment', `${commentOf(network.prefix)}${before}`]
  for (const rule of [
    ['-t', 'nat', '-A', 'POSTROUTING', '-s', hosts, '!', '-o', leg, ...comment, '-j', 'MASQUERADE'],
    ['-I', 'FORWARD', '-i', leg, ...comment, '-j', 'ACCEPT'],
    ['-I', 'FORWARD', '-o', leg, ...comment, '-j', 'ACCEPT'],
  ]) {
    await mustRun(['iptables', '-w', '5', ...rule])
  }
  await mustRun(['sysctl', '-qw', 'net.ipv4.ip_forward=1'])
}

/** Removes the rules of that prefix, and stops forwarding if we started it and nobody else has come to need it. */
export async function closeWayOut(prefix: string): Promise<void> {
  const rules = await rulesOf(prefix)
  for (const { table, rule } of rules) {
    await runCommand(['iptables', '-w', '5', '-t', table, ...rule.replace(/^-A/, '-D').split(' ')])
  }
  const startedByUs = rules.some(({ rule }) => rule.includes('forward-was-0'))
  if (startedByUs && !(await anybodyForwards())) {
    await mustRun(['sysctl', '-qw', 'net.ipv4.ip_forward=0'])
  }
}

interface Rule {
  readonly table: string
  /** As `iptables -S` prints it, quotes left out: its comment holds no blank. */
  readonly rule: string
}

async function rulesOf(prefix: string): Promise<Rule[]> {
  return (await allRules()).filter(({ rule }) => rule.includes(`--comment ${commentOf(prefix)}`))
}

async function anybodyForwards(): Promise<boolean> {
  return (await allRules()).some(({ rule }) => /^-A (FORWARD|POSTROUTING)\b/.test(rule))
}

async function allRules(): Promise<Rule[]> {
  const rules: Rule[] = []
  for (const table of ['nat', 'filter']) {
    const listed = await runCommand(['iptables', '-w', '5', '-t', table, '-S'])
    const lines = listed.stdout.split('\n').filter((line) => line.startsWith('-A'))
    rules.push(...lines.map((rule) => ({ table, rule: rule.replaceAll('"', '') })))
  }
  return rules
}

function commentOf(prefix: string): string {
  return `${prefix}:forward-was-`
}
