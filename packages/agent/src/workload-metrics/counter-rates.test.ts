import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CounterRates } from './counter-rates.ts'

/** Rates of one counter with these values, five seconds apart. */
function ratesOf(...values: number[]): (number | undefined)[] {
  const rates = new CounterRates()
  return values.map((value, n) => rates.rate('requests_total', value, 1_000_000 + n * 5_000))
}

test('the rate is what a counter goes up by a second, over the last quarter of a minute', () => {
  assert.deepEqual(ratesOf(100, 150, 150, 250), [undefined, 10, 5, 10])
  assert.deepEqual(ratesOf(0, 0, 0, 0, 300, 300, 300, 300).slice(3), [0, 20, 20, 20, 0])
})

test('a counter that began anew has no rate until it goes on', () => {
  assert.deepEqual(ratesOf(1_000, 1_050, 20, 70), [undefined, 10, undefined, 10])
})

test('after a pause the rate is over all of it', () => {
  const rates = new CounterRates()
  rates.rate('requests_total', 0, 0)
  rates.rate('requests_total', 10, 5_000)
  assert.equal(rates.rate('requests_total', 130, 65_000), 2)
})

test('two values of the same moment give none', () => {
  const rates = new CounterRates()
  rates.rate('requests_total', 0, 0)
  assert.equal(rates.rate('requests_total', 10, 0), undefined)
  assert.equal(rates.rate('requests_total', 10, 100), undefined)
})

test('counters are apart from each other', () => {
  const rates = new CounterRates()
  rates.rate('a_total', 0, 0)
  assert.equal(rates.rate('b_total', 5, 1_000), undefined)
  assert.equal(rates.rate('a_total', 5, 1_000), 5)
})
