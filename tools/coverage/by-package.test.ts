import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addByPackage, parseLcov, shortfalls } from './by-package.ts'

const lcov = `SF:packages/base/src/a.ts
BRF:4
BRH:2
LF:10
LH:9
end_of_record
SF:packages/base/src/b.ts
BRF:0
BRH:0
LF:10
LH:1
end_of_record
`

test('coverage is added up by package, and a package below its minimum is named', () => {
  const packages = addByPackage(parseLcov(lcov))
  assert.deepEqual(packages, [{ name: 'base', linesPercent: 50, branchesPercent: 50 }])
  assert.deepEqual(
    shortfalls(packages).map((line) => line.split(':')[0]),
    ['base', 'base'],
  )
})

test('a package at its minimum is not named', () => {
  assert.deepEqual(shortfalls([{ name: 'base', linesPercent: 70, branchesPercent: 60 }]), [])
})
