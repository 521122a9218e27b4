/** A host's network cable: plugged into the hub, pulled, made lossy or slow. */
import { batch, type Network } from './network.ts'
import { mustRun, runCommand } from './command.ts'
import { waitFor } from './wait-for.ts'

export interface HostLink {
  /** Plugs a new cable into the machine whose first process is `pid`, with its address and default route. Idempotent. */
  connect(pid: number): Promise<void>

  /** Pulls the cable at the switch: nothing passes, and no end is told. */
  cut(): Promise<void>
  heal(): Promise<void>

  /** Drops that part of the packets, 0 to 100, also of its containers: of all, or of those that `only` describes. */
  loss(percent: number, only?: LossyPackets): Promise<void>

  /** Bits per second in either direction; undefined: as fast as it goes. */
  bandwidth(bitsPerSecond: number | undefined): Promise<void>

  /** Takes the cable away. Safe to call twice. */
  remove(): Promise<void>
}

export interface LossyPackets {
  /** As the host sees it; both when not given. */
  readonly direction?: 'in' | 'out'
  /** Addresses of the other ends; any when not given. */
  readonly peers?: readonly string[]
}

interface LinkOptions {
  readonly name: string
  readonly address: string
  /** Wraps a command so that it runs inside the host. */
  readonly enter: (command: readonly string[]) => string[]
}

export function createHostLink(network: Network, options: LinkOptions): HostLink {
  const hub = ['-n', network.hubNamespace]
  const port = `p-${options.name}`
  const card = hardwareAddressOf(options.address)

  async function portExists(): Promise<boolean> {
    return (await runCommand(['ip', ...hub, 'link', 'show', port])).code === 0
  }

  /** `token bucket` at both ends: each shapes what it sends. */
  function shaping(device: string, bitsPerSecond: number | undefined): string[] {
    if (bitsPerSecond === undefined) return ['tc', 'qdisc', 'del', 'dev', device, 'root']
    const rate = ['rate', `${bitsPerSecond}bit`, 'burst', '32kbit', 'latency', '200ms']
    return ['tc', 'qdisc', 'replace', 'dev', device, 'root', 'tbf', ...rate]
  }

  return {
    async connect(pid) {
      const inside = await runCommand(options.enter(['ip', '-br', 'addr', 'show', 'eth0']))
      if (inside.stdout.includes(options.address) && (await portExists())) return
      // The port of a machine that was switched off goes when the kernel gets to it.
      await runCommand(['ip', ...hub, 'link', 'del', port])
      await batch(hub, [
        `link add ${port} type veth peer name eth0 address ${card} netns ${pid}`,
        `link set ${port} master br0 up`,
      ])
      await mustRun(options.enter(['ip', '-batch', '-']), {
        input: [
          `addr add ${options.address}/24 dev eth0`,
          'link set eth0 up',
          `route add default via ${network.gateway}`,
          '',
        ].join('\n'),
      })
    },

    async cut() {
      await mustRun(['ip', ...hub, 'link', 'set', port, 'nomaster'])
    },

    async heal() {
      await mustRun(['ip', ...hub, 'link', 'set', port, 'master', 'br0'])
    },

    async loss(percent, only = {}) {
      const chains = [
        ['in', 'PREROUTING', '-i', '-s'],
        ['out', 'POSTROUTING', '-o', '-d'],
      ] as const
      for (const [direction, chain, device, peer] of chains) {
        const table = ['iptables', '-w', '5', '-t', 'mangle']
        await mustRun(options.enter([...table, '-F', chain]))
        if (percent <= 0 || (only.direction ?? direction) !== direction) continue
        const probability = String(Math.min(percent, 100) / 100)
        const chance = ['-m', 'statistic', '--mode', 'random', '--probability', probability]
        const other = only.peers === undefined ? [] : [peer, only.peers.join(',')]
        const rule = ['-A', chain, device, 'eth0', ...other, ...chance, '-j', 'DROP']
        await mustRun(options.enter([...table, ...rule]))
      }
    },

    async bandwidth(bitsPerSecond) {
      const act = bitsPerSecond === undefined ? runCommand : mustRun
      await act(options.enter(shaping('eth0', bitsPerSecond)))
      await act([
        'nsenter',
        `--net=/run/netns/${network.hubNamespace}`,
        ...shaping(port, bitsPerSecond),
      ])
    },

    async remove() {
      await runCommand(['ip', ...hub, 'link', 'del', port])
      await waitFor(async () => !(await portExists()), { what: `port ${port} to go`, pollMs: 10 })
    },
  }
}

/** The same at every boot, as on a real machine: its neighbours remember it. */
function hardwareAddressOf(address: string): string {
  const bytes = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'))
  return ['02', '00', ...bytes].join(':')
}
