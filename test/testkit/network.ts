/**
 * A switch for pretend machines: a bridge in a network namespace of its own, the hub, and one leg of it in this
 * machine's namespace so that we reach the hosts and they reach us.
 *
 *     here ── <prefix>0 .253 ── hub: br0 .254, forwards ──┬── p-a ── eth0 of host a
 *                                                         └── p-b ── eth0 of host b
 *
 * The hub forwards between node subnets (the containers' networks) once `route` names them. Nothing of this machine is
 * changed but the leg and, when asked for, routes over it; both go with the leg.
 */
import { assert } from '@cloudless/base'
import { mustRun, runCommand, type CommandOptions, type CommandResult } from './command.ts'

export interface NetworkOptions {
  /** At most 10 of [a-z0-9-]; names everything this network makes, so that several stand side by side. */
  readonly prefix: string
  /** The first three numbers of a /24, such as "10.66.0". */
  readonly subnet: string
}

export interface Network {
  readonly prefix: string
  readonly subnet: string
  readonly hubNamespace: string
  /** The default route of every host. */
  readonly gateway: string
  /** This machine, as the hosts see it. */
  readonly legAddress: string
  readonly legDevice: string

  /** Runs a program in the hub: it reaches hosts and, through routes, their containers. */
  run(command: readonly string[], options?: CommandOptions): Promise<CommandResult>

  /** Sends what is for a node subnet ("10.244.1.0/24") to that host. Replaces an earlier route of the subnet. */
  route(subnet: string, hostAddress: string): Promise<void>

  /** Sends what this machine has for the subnet to the hub. Gone with the network. */
  routeFromHere(subnet: string): Promise<void>

  /** Removes the hub, its ports and the leg. Safe to call twice. */
  destroy(): Promise<void>
}

/** Makes the network, or finds the one a run before this one made. Needs root. */
export async function createNetwork(options: NetworkOptions): Promise<Network> {
  assert(/^[a-z][a-z0-9-]{0,9}$/.test(options.prefix), `unfit network prefix: ${options.prefix}`)
  const hubNamespace = hubNamespaceOf(options.prefix)
  const legDevice = legDeviceOf(options.prefix)
  const gateway = `${options.subnet}.254`
  const legAddress = `${options.subnet}.253`
  if (!(await isComplete(hubNamespace, legDevice))) {
    await destroyNetwork(options.prefix)
    await mustRun(['ip', 'netns', 'add', hubNamespace])
    await batch(
      ['-n', hubNamespace],
      ['link set lo up', 'link add br0 type bridge', `addr add ${gateway}/24 dev br0`],
    )
    await mustRun(['ip', '-n', hubNamespace, 'link', 'set', 'br0', 'up'])
    await mustRun(inHub(hubNamespace, ['sysctl', '-qw', 'net.ipv4.ip_forward=1']))
    await batch(
      [],
      [
        `link add ${legDevice} type veth peer name leg netns ${hubNamespace}`,
        `addr add ${legAddress}/24 dev ${legDevice}`,
        `link set ${legDevice} up`,
      ],
    )
    await mustRun(['ip', '-n', hubNamespace, 'link', 'set', 'leg', 'master', 'br0', 'up'])
  }
  return {
    prefix: options.prefix,
    subnet: options.subnet,
    hubNamespace,
    gateway,
    legAddress,
    legDevice,
    run: (command, commandOptions) => runCommand(inHub(hubNamespace, command), commandOptions),
    async route(subnet, hostAddress) {
      await mustRun(['ip', '-n', hubNamespace, 'route', 'replace', subnet, 'via', hostAddress])
    },
    async routeFromHere(subnet) {
      await mustRun(['ip', 'route', 'replace', subnet, 'via', gateway, 'dev', legDevice])
    },
    destroy: () => destroyNetwork(options.prefix),
  }
}

/** Removes the hub and the leg of that prefix, whoever made them; nothing there is fine. */
export async function destroyNetwork(prefix: string): Promise<void> {
  await runCommand(['ip', 'link', 'del', legDeviceOf(prefix)])
  await runCommand(['ip', 'netns', 'del', hubNamespaceOf(prefix)])
}

/** Runs several `ip` commands in one process. */
export async function batch(
  options: readonly string[],
  commands: readonly string[],
): Promise<void> {
  await mustRun(['ip', ...options, '-batch', '-'], { input: `${commands.join('\n')}\n` })
}

function hubNamespaceOf(prefix: string): string {
  return `${prefix}-hub`
}

function legDeviceOf(prefix: string): string {
  return `${prefix}0`
}

/** `ip netns exec` would remount /sys and hide the cgroups. */
function inHub(hubNamespace: string, command: readonly string[]): string[] {
  return ['nsenter', `--net=/run/netns/${hubNamespace}`, ...command]
}

async function isComplete(hubNamespace: string, legDevice: string): Promise<boolean> {
  const leg = await runCommand(['ip', '-br', 'addr', 'show', legDevice])
  const peer = await runCommand(['ip', '-n', hubNamespace, 'link', 'show', 'leg', 'up'])
  return leg.code === 0 && /\d+\.\d+\.\d+\.253\/24/.test(leg.stdout) && peer.stdout.includes('br0')
}
