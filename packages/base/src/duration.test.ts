import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { formatDurationMs, formatDurationMsExactly, parseDurationMs } from './duration.ts'

describe('durations', () => {
  const parsed: readonly (readonly [string, number | undefined])[] = [
    ['0', 0],
    ['250ms', 250],
    ['30s', 30_000],
    ['1.5s', 1_500],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['90d', 7_776_000_000],
    ['2w', 1_209_600_000],
    ['', undefined],
    ['5', undefined],
    ['-5s', undefined],
    ['5 s', undefined],
    ['5S', undefined],
    ['s', undefined],
    ['1h-', undefined],
    ['.5s', undefined],
  ]
  for (const [text, durationMs] of parsed) {
    it(`reads ${JSON.stringify(text)} as ${durationMs}`, () =>
      assert.equal(parseDurationMs(text), durationMs))
  }

  const formatted: readonly (readonly [number, string])[] = [
    [-5, '0ms'],
    [0, '0ms'],
    [120.4, '120ms'],
    [999, '999ms'],
    [45_000, '45s'],
    [312_000, '5m12s'],
    [300_000, '5m'],
    [3_600_000, '1h'],
    [5_400_000, '1h30m'],
    [86_400_000 * 3 + 3_600_000 * 4, '3d4h'],
    [86_400_000 * 8 + 3_600_000 * 4, '8d'],
  ]
  for (const [durationMs, text] of formatted) {
    it(`shows ${durationMs} ms as ${text}`, () => assert.equal(formatDurationMs(durationMs), text))
  }

  it('are read back as shown, less what is not shown', () => {
    fc.assert(
      fc.property(fc.nat(4_000_000_000), (durationMs) => {
        const back = parseDurationMs(formatDurationMs(durationMs))!
        assert.ok(back <= durationMs && durationMs - back < 86_400_000)
        assert.equal(formatDurationMs(back), formatDurationMs(durationMs))
      }),
    )
  })

  it('written exactly, every duration is read as the same number', () => {
    assert.equal(formatDurationMsExactly(1_600), '1.6s')
    assert.equal(formatDurationMsExactly(300_000), '5m')
    const durations = fc.oneof(
      fc.nat(100_000),
      fc.nat(2 ** 31),
      fc.nat(365).map((d) => d * 86_400_000),
    )
    fc.assert(
      fc.property(durations, (durationMs) => {
        assert.equal(parseDurationMs(formatDurationMsExactly(durationMs)), durationMs)
      }),
    )
  })
})
