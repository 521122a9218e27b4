/**
 * Whether what goes over this machine's link is paid by volume, as far as the kernel knows: it does when the link is a
 * modem's or a phone's. A phone's Wi-Fi looks like any other, so its owner has to say.
 */
import { readFile, readlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { parseDefaultInterface, parseDefaultInterfaceV6 } from './proc-files.ts'

/** What is known of a network interface. */
export interface LinkFacts {
  readonly name: string
  /** DEVTYPE of its uevent file: "wwan", "wlan", "bridge"; empty for plain Ethernet. */
  readonly deviceType: string
  /** Of the kernel, such as "e1000e"; empty when there is no device behind it. */
  readonly driver: string
  /** Some ppp interface of this machine runs over Ethernet, as with DSL. */
  readonly hasPppOverEthernet: boolean
}

/** Drivers of a phone at the other end of a cable: Android's and Apple's. */
const tetheringDrivers = ['rndis_host', 'ipheth']
/** Modems, phones on a cable, phones over Bluetooth. */
const meteredNames = /^(?:ww|rmnet|usb\d|bnep\d)/

export function isMetered({ name, deviceType, driver, hasPppOverEthernet }: LinkFacts): boolean {
  if (deviceType === 'wwan' || tetheringDrivers.includes(driver)) return true
  if (name.startsWith('ppp')) return !hasPppOverEthernet
  return meteredNames.test(name)
}

/** Looks at the interface of the default route. `root` is where /proc and /sys are. */
export async function detectMeteredLink(root = '/'): Promise<boolean> {
  const read = (path: string): Promise<string> => readText(join(root, path))
  const name =
    parseDefaultInterface(await read('proc/net/route')) ??
    parseDefaultInterfaceV6(await read('proc/net/ipv6_route'))
  if (name === undefined) return false
  const device = join('sys/class/net', name)
  const uevent = await read(join(device, 'uevent'))
  const sessions = name.startsWith('ppp') ? await read('proc/net/pppoe') : ''
  return isMetered({
    name,
    deviceType: /^DEVTYPE=(.*)$/m.exec(uevent)?.[1] ?? '',
    driver: await driverOf(join(root, device)),
    hasPppOverEthernet: /^[0-9a-f]{8}\s/im.test(sessions),
  })
}

async function driverOf(device: string): Promise<string> {
  try {
    return basename(await readlink(join(device, 'device/driver')))
  } catch {
    return '' // No device: a bridge, a tunnel.
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    return '' // Absent on this machine.
  }
}
