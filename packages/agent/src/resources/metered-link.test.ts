import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { detectMeteredLink, isMetered, type LinkFacts } from './metered-link.ts'

const plain: LinkFacts = { name: 'eth0', deviceType: '', driver: '', hasPppOverEthernet: false }

describe('a link', () => {
  for (const [property, facts, expected] of [
    ['of Ethernet is not metered', { driver: 'e1000e' }, false],
    ['of Wi-Fi is not metered', { name: 'wlp2s0', deviceType: 'wlan' }, false],
    ['of a cable modem on USB is not metered', { name: 'enx00', driver: 'cdc_ether' }, false],
    ['of a bridge is not metered', { name: 'br0', deviceType: 'bridge' }, false],
    ['of a modem is metered by its type', { name: 'mobile', deviceType: 'wwan' }, true],
    ['of a modem is metered by its old name', { name: 'wwan0' }, true],
    ['of a modem is metered by its new name', { name: 'wwp0s20u4' }, true],
    ["of a phone's own modem is metered", { name: 'rmnet_data0' }, true],
    ['of an Android phone on USB is metered', { name: 'enx01', driver: 'rndis_host' }, true],
    ['of an iPhone on USB is metered', { name: 'eth1', driver: 'ipheth' }, true],
    ['of a phone named so is metered', { name: 'usb0' }, true],
    ['of a phone over Bluetooth is metered', { name: 'bnep0' }, true],
    ['of a dialled modem is metered', { name: 'ppp0' }, true],
    ['of a DSL line is not metered', { name: 'ppp0', hasPppOverEthernet: true }, false],
  ] as const) {
    it(property, () => assert.equal(isMetered({ ...plain, ...facts }), expected))
  }
})

describe('the default route', () => {
  let root: string
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  const routes = (...lines: readonly string[]): void =>
    put('proc/net/route', ['Iface Destination Gateway Flags', ...lines, ''].join('\n'))

  beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'cloudless-link-'))))
  afterEach(() => rmSync(root, { recursive: true, force: true }))

  it('that leads nowhere is not metered', async () => {
    assert.equal(await detectMeteredLink(root), false)
  })

  it('decides, whatever else there is', async () => {
    const wired = 'eth0 00000000 0102A8C0 0003 0 0 100 00000000'
    const mobile = 'wwan0 00000000 0102A8C0 0003 0 0 700 00000000'
    routes(mobile, wired)
    assert.equal(await detectMeteredLink(root), false)
    routes(mobile)
    assert.equal(await detectMeteredLink(root), true)
  })

  it('may be of IPv6 only', async () => {
    const any = `${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00 ${'0'.repeat(32)}`
    put('proc/net/ipv6_route', `${any} 00000400 00000001 00000000 00000003 wwan0\n`)
    assert.equal(await detectMeteredLink(root), true)
  })

  it('is looked at by type, driver and what runs below it', async () => {
    routes('enx01 00000000 0102A8C0 0003 0 0 0 00000000')
    put('sys/class/net/enx01/uevent', 'INTERFACE=enx01\n')
    mkdirSync(join(root, 'sys/class/net/enx01/device'), { recursive: true })
    const driver = join(root, 'sys/class/net/enx01/device/driver')
    symlinkSync('../../../bus/usb/drivers/cdc_ether', driver)
    assert.equal(await detectMeteredLink(root), false)
    rmSync(driver)
    symlinkSync('../../../bus/usb/drivers/rndis_host', driver)
    assert.equal(await detectMeteredLink(root), true)
    rmSync(driver)
    put('sys/class/net/enx01/uevent', 'DEVTYPE=wwan\nINTERFACE=enx01\n')
    assert.equal(await detectMeteredLink(root), true)
    routes('ppp0 00000000 00000000 0001 0 0 0 00000000')
    const header = 'Id       Address              Device\n'
    put('proc/net/pppoe', header)
    assert.equal(await detectMeteredLink(root), true)
    put('proc/net/pppoe', `${header}00000001 00:11:22:33:44:55    eth0\n`)
    assert.equal(await detectMeteredLink(root), false)
  })
})
