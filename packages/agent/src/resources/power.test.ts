import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { PowerSource } from '@cloudless/api'
import { detectPower } from './power.ts'

type Supply = Readonly<Record<string, string>>

const mains = (online: string): Supply => ({ type: 'Mains', online })
const battery = (capacity: string, status: string, scope = 'System'): Supply => ({
  type: 'Battery',
  capacity,
  status,
  scope,
})

describe('a machine', () => {
  let root: string
  beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'cloudless-power-'))))
  afterEach(() => rmSync(root, { recursive: true, force: true }))

  for (const [property, supplies, powerSource, percent] of [
    ['without supplies is on mains', [], 'MAINS', -1],
    [
      'that is plugged in and charging is on mains',
      [mains('1'), battery('40', 'Charging')],
      'MAINS',
      40,
    ],
    ['that is plugged in and full is on mains', [battery('100', 'Full')], 'MAINS', 100],
    ['that is unplugged is on battery', [mains('0'), battery('73', 'Discharging')], 'BATTERY', 73],
    ['with an empty battery is on battery', [battery('0', 'Discharging')], 'BATTERY', 0],
    [
      'that drains while plugged in is on mains',
      [mains('1'), battery('9', 'Discharging')],
      'MAINS',
      9,
    ],
    [
      'with a mouse has no battery of its own',
      [battery('50', 'Discharging', 'Device')],
      'MAINS',
      -1,
    ],
    [
      'with two batteries counts the fuller',
      [battery('3', 'Discharging'), battery('90', 'Discharging')],
      'BATTERY',
      90,
    ],
  ] as const) {
    it(property, async () => {
      for (const [n, supply] of supplies.entries()) {
        mkdirSync(join(root, `supply-${n}`))
        for (const [file, text] of Object.entries(supply as Supply)) {
          writeFileSync(join(root, `supply-${n}`, file), `${text}\n`)
        }
      }
      const expected = { powerSource: PowerSource[powerSource], batteryPercent: percent }
      assert.deepEqual(await detectPower(root), expected)
    })
  }
})
