import assert from 'node:assert/strict'
import { test } from 'node:test'
import { onAbort } from './on-abort.ts'

test('an abort is told once, whether it comes later or has come already', () => {
  const controller = new AbortController()
  let told = 0
  onAbort(controller.signal, () => told++)
  assert.equal(told, 0)
  controller.abort()
  controller.abort()
  assert.equal(told, 1)
  onAbort(controller.signal, () => told++)
  assert.equal(told, 2)
})

test('who has taken it back is told nothing', () => {
  const controller = new AbortController()
  let told = 0
  const forget = onAbort(controller.signal, () => told++)
  forget()
  forget()
  controller.abort()
  assert.equal(told, 0)
})
