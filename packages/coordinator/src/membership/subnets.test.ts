import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Subnets, subnetPlanDefault, type SubnetPlan } from './subnets.ts'

const none = new Set<string>()

const allocateSubnet = (plan: SubnetPlan, taken: ReadonlySet<string>): string =>
  new Subnets(plan).next((subnet) => taken.has(subnet))

test('subnets are given in order, never the first, never one twice', () => {
  const taken = new Set<string>()
  for (let n = 1; n <= 255; n++) {
    const subnet = allocateSubnet(subnetPlanDefault, taken)
    assert.equal(subnet, `10.244.${n}.0/24`)
    taken.add(subnet)
  }
  assert.throws(() => allocateSubnet(subnetPlanDefault, taken), {
    code: 'resource_exhausted',
    message: /all 255/,
  })
  taken.delete('10.244.7.0/24')
  assert.equal(allocateSubnet(subnetPlanDefault, taken), '10.244.7.0/24')
})

test('what was left is given again when all the others have been', () => {
  const subnets = new Subnets({ clusterCidr: '10.0.0.0/22', nodePrefixLength: 24 })
  const taken = new Set(['10.0.2.0/24'])
  const take = (): string => {
    const subnet = subnets.next((one) => taken.has(one))
    taken.add(subnet)
    return subnet
  }
  assert.equal(take(), '10.0.1.0/24')
  taken.delete('10.0.1.0/24')
  assert.equal(take(), '10.0.3.0/24')
  assert.equal(take(), '10.0.1.0/24')
  assert.throws(take, { code: 'resource_exhausted' })
})

const plans: readonly [string, number, string][] = [
  ['10.0.0.0/8', 24, '10.0.1.0/24'],
  ['192.168.0.0/16', 30, '192.168.0.4/30'],
  ['10.244.3.7/16', 20, '10.244.16.0/20'],
  ['255.0.0.0/8', 9, '255.128.0.0/9'],
]
for (const [clusterCidr, nodePrefixLength, expected] of plans) {
  test(`the first of ${clusterCidr} with /${nodePrefixLength} is ${expected}`, () => {
    assert.equal(allocateSubnet({ clusterCidr, nodePrefixLength }, none), expected)
  })
}

const bad: readonly [string, number][] = [
  ['10.244.0.0', 24],
  ['10.244.0.0/33', 24],
  ['10.300.0.0/16', 24],
  ['fd00::/64', 80],
  ['', 24],
  ['10.244.0.0/16', 16],
  ['10.244.0.0/16', 31],
  ['10.244.0.0/16', Number.NaN],
]
for (const [clusterCidr, nodePrefixLength] of bad) {
  test(`"${clusterCidr}" with /${nodePrefixLength} is refused`, () => {
    assert.throws(() => allocateSubnet({ clusterCidr, nodePrefixLength }, none), {
      code: 'invalid_argument',
    })
  })
}
