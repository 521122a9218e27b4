import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  allocatableOf,
  capacityOf,
  gpuModelOf,
  iopsClassOf,
  pressureConditions,
} from './capacity.ts'
import {
  parseBytesSent,
  parseCpuTimes,
  parseDefaultInterface,
  parseDefaultInterfaceV6,
  parseMemoryUsed,
} from './proc-files.ts'

const detected = {
  cpuMillicores: 4_000,
  memoryBytes: 8 * 1024 ** 3,
  storageBytes: 100 * 1024 ** 3,
  bandwidthBps: 1e9,
  iopsClass: 'high',
  gpuModels: [],
}
const none = { cpuCores: 0, memoryMb: 0, storageGb: 0, bandwidthMbps: 0 }
const idle = { cpuMillicores: 0, memoryBytes: 0, storageBytes: 0, bandwidthBps: 0 }

describe('capacity', () => {
  it('is what was detected, unless it is overridden', () => {
    assert.equal(capacityOf(detected, none).cpuMillicores, 4_000)
    const told = capacityOf(detected, {
      cpuCores: 0.5,
      memoryMb: 1024,
      storageGb: 0,
      bandwidthMbps: 50,
    })
    assert.equal(told.cpuMillicores, 500)
    assert.equal(told.memoryBytes, 1024n ** 3n)
    assert.equal(told.storageBytes, 100n * 1024n ** 3n)
    assert.equal(told.bandwidthBps, 50_000_000n)
  })

  it('less the reserve is allocatable', () => {
    const reserve = { cpuPercent: 10, memoryPercent: 25, storagePercent: 0 }
    const allocatable = allocatableOf(capacityOf(detected, none), reserve)
    assert.equal(allocatable.cpuMillicores, 3_600)
    assert.equal(allocatable.memoryBytes, 6n * 1024n ** 3n)
    assert.equal(allocatable.storageBytes, 100n * 1024n ** 3n)
    assert.equal(allocatable.bandwidthBps, 1_000_000_000n)
  })

  it('is short above 85 %', () => {
    const capacity = capacityOf(detected, none)
    const types = (used: object): string[] =>
      pressureConditions(capacity, { ...idle, ...used }).map(({ type }) => type)
    assert.deepEqual(types({}), [])
    assert.deepEqual(types({ cpuMillicores: 3_400 }), [])
    assert.deepEqual(types({ cpuMillicores: 3_401 }), ['CPUPressure'])
    assert.deepEqual(types({ memoryBytes: 7.9 * 1024 ** 3, storageBytes: 99 * 1024 ** 3 }), [
      'MemoryPressure',
      'DiskPressure',
    ])
  })

  for (const [iops, name] of [
    [0, 'unknown'],
    [99, 'low'],
    [100, 'medium'],
    [499, 'medium'],
    [500, 'high'],
    [2_999, 'high'],
    [3_000, 'premium'],
  ] as const) {
    it(`${iops} writes a second are ${name}`, () => assert.equal(iopsClassOf(iops), name))
  }

  for (const [vendor, name, model] of [
    ['nvidia', 'NVIDIA A100-SXM4-40GB', 'nvidia-a100'],
    ['nvidia', 'NVIDIA H100 80GB HBM3', 'nvidia-h100'],
    ['nvidia', 'NVIDIA GeForce RTX 4090', 'nvidia-rtx-4090'],
    ['nvidia', 'Tesla T4', 'nvidia-t4'],
    ['nvidia', '', 'nvidia'],
  ] as const) {
    it(`"${name}" is ${model}`, () => assert.equal(gpuModelOf(vendor, name), model))
  }
})

describe("the kernel's files", () => {
  it('are read', () => {
    assert.deepEqual(parseCpuTimes('cpu  10 5 5 70 10 0 0 0 0 0\ncpu0 1 1 1 1\n'), {
      busy: 20,
      total: 100,
    })
    const meminfo = 'MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:   400 kB\n'
    assert.equal(parseMemoryUsed(meminfo), 600 * 1024)
    const netDev =
      'Inter-|   Receive | Transmit\n face |bytes |bytes\n' +
      '  eth0: 1 0 0 0 0 0 0 0 77 0 0 0 0 0 0 0\n    lo: 1 0 0 0 0 0 0 0 5 0 0 0 0 0 0 0\n'
    assert.equal(
      parseBytesSent(netDev, (name) => name !== 'lo'),
      77,
    )
    const route =
      'Iface\tDestination\tGateway\tFlags\neth1\t0000A8C0\t00000000\t0001\n' +
      'eth0\t00000000\t0102A8C0\t0003\n'
    assert.equal(parseDefaultInterface(route), 'eth0')
  })

  it('name the default route with the lowest metric, and no part of one', () => {
    const lines = [
      'tun0 00000000 00000000 0001 0 0 0 00000080',
      'wwan0 00000000 0102A8C0 0003 0 0 700 00000000',
      'eth1 00000000 0102A8C0 0002 0 0 50 00000000',
      'eth0 00000000 0102A8C0 0003 0 0 100 00000000',
    ]
    assert.equal(parseDefaultInterface(lines.join('\n')), 'eth0')
    const any = `${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00 ${'0'.repeat(32)}`
    const linesV6 = [
      `fd${'0'.repeat(30)} 40 ${any.slice(36)} 00000100 00000001 00000000 00000001 eth0`,
      `${any} ffffffff 00000001 00000000 00200200 lo`,
      `${any} 00000400 00000001 00000000 00000003 eth1`,
      `${any} 00000100 00000001 00000000 00000003 eth0`,
    ]
    assert.equal(parseDefaultInterfaceV6(linesV6.join('\n')), 'eth0')
  })

  it('that say something else read as nothing', () => {
    assert.deepEqual(parseCpuTimes(''), { busy: 0, total: 0 })
    assert.equal(parseMemoryUsed('nonsense'), 0)
    assert.equal(
      parseBytesSent('', () => true),
      0,
    )
    assert.equal(parseDefaultInterface(''), undefined)
    assert.equal(parseDefaultInterfaceV6('nonsense'), undefined)
  })
})
