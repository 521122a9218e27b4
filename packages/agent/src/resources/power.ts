/** What this machine runs on, as the kernel says. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PowerSource } from '@cloudless/api'

export interface Power {
  readonly powerSource: PowerSource
  /** 0 to 100; -1 without a battery. */
  readonly batteryPercent: number
}

/** `root` is the directory of the power supplies. A mouse's battery is none of the machine's. */
export async function detectPower(root = '/sys/class/power_supply'): Promise<Power> {
  let batteryPercent = -1
  let onMains = false
  for (const name of await listDirectory(root)) {
    const read = (file: string): Promise<string> => readWord(join(root, name, file))
    const type = await read('type')
    if (type === 'Battery' && (await read('scope')) !== 'Device') {
      batteryPercent = Math.max(batteryPercent, Number(await read('capacity')) || 0)
      if ((await read('status')) !== 'Discharging') onMains = true
    } else if ((await read('online')) === '1') onMains = true
  }
  const battery = batteryPercent >= 0 && !onMains
  return { powerSource: battery ? PowerSource.BATTERY : PowerSource.MAINS, batteryPercent }
}

async function readWord(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch {
    return '' // Absent on this machine.
  }
}

async function listDirectory(path: string): Promise<string[]> {
  try {
    return await readdir(path)
  } catch {
    return [] // Absent on this machine.
  }
}
