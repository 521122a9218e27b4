import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  parseKeyValues,
  parseLimit,
  parseNetworkDevices,
  usageOfVersion1,
  usageOfVersion2,
} from './cgroup-files.ts'
import { millicoresBetween } from './usage-reader.ts'

test('reads the files of version 1', () => {
  const usage = usageOfVersion1({
    'cpuacct.usage': '1234567890\n',
    'cpu.stat': 'nr_periods 10\nnr_throttled 2\nthrottled_time 5000000\n',
    'memory.usage_in_bytes': '5000\n',
    'memory.limit_in_bytes': '9223372036854771712\n',
    'memory.stat': 'cache 1\ninactive_file 7\ntotal_inactive_file 1000\n',
    'pids.current': '3\n',
  })
  assert.deepEqual(usage, {
    cpuTotalUs: 1_234_567,
    throttledUs: 5_000,
    memoryBytes: 4_000,
    memoryLimitBytes: 0,
    pids: 3,
  })
})

test('reads the files of version 2', () => {
  const usage = usageOfVersion2({
    'cpu.stat': 'usage_usec 42\nuser_usec 40\nsystem_usec 2\nthrottled_usec 9\n',
    'memory.current': '5000\n',
    'memory.max': '8000\n',
    'memory.stat': 'anon 1\ninactive_file 6000\n',
    'pids.current': '1\n',
  })
  assert.deepEqual(usage, {
    cpuTotalUs: 42,
    throttledUs: 9,
    memoryBytes: 0,
    memoryLimitBytes: 8000,
    pids: 1,
  })
})

test('takes what is absent or strange for nothing', () => {
  const nothing = { cpuTotalUs: 0, throttledUs: 0, memoryBytes: 0, memoryLimitBytes: 0, pids: 0 }
  assert.deepEqual(usageOfVersion1({}), nothing)
  assert.deepEqual(usageOfVersion2({ 'memory.max': 'max\n', 'pids.current': 'x' }), nothing)
  assert.equal(parseLimit('max'), 0)
  assert.deepEqual(
    [...parseKeyValues('a 1\nb\n\nc x\nd 2 3\noom_kill 4')],
    [
      ['a', 1],
      ['d', 2],
      ['oom_kill', 4],
    ],
  )
})

test('adds the traffic of all interfaces but the loopback', () => {
  const text =
    'Inter-|   Receive                                                |  Transmit\n' +
    ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n' +
    '    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0\n' +
    '  eth0:    2000      10    0    0    0     0          0         0      300       5    0    0    0     0       0          0\n' +
    '  eth1:1 0 0 0 0 0 0 0 2 0 0 0 0 0 0 0\n'
  assert.deepEqual(parseNetworkDevices(text), { received: 2001, sent: 302 })
  assert.deepEqual(parseNetworkDevices(''), { received: 0, sent: 0 })
})

test('knows the mean use of the CPU between two samples', () => {
  const at = (totalUs: number, atMs: number) => ({ totalUs, atMs })
  assert.equal(millicoresBetween(at(0, 0), at(500_000, 1000)), 500)
  assert.equal(millicoresBetween(at(9, 0), at(1, 1000)), 0, 'a counter that went back')
  assert.equal(millicoresBetween(at(0, 5), at(9, 5)), 0, 'no time between')
})
