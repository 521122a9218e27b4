/** What a release promises: one version, licences that go together, no secret in the tree, generated code current. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { version } from '@cloudless/base'
import { manifests, root, sourceFiles } from './sources.ts'

test('every package has the version that the programs print', () => {
  for (const manifest of manifests()) {
    assert.equal(manifest.version, version, manifest.name)
    for (const [name, wanted] of Object.entries(manifest.dependencies)) {
      if (name.startsWith('@cloudless/')) assert.equal(wanted, version, `${manifest.name}: ${name}`)
    }
  }
})

test('every dependency is pinned exactly', () => {
  for (const manifest of manifests()) {
    const all = {
      ...manifest.dependencies,
      ...manifest.devDependencies,
      ...manifest.optionalDependencies,
    }
    for (const [name, wanted] of Object.entries(all)) {
      assert.match(wanted, /^\d+\.\d+\.\d+(-[\w.]+)?$/, `${manifest.name}: ${name}`)
    }
  }
})

/** Licences that go with Apache-2.0. */
const licencesAllowed = new Set([
  'Apache-2.0',
  'MIT',
  'ISC',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'Unlicense',
  'Python-2.0',
])

test('every installed package has a licence that goes with ours', () => {
  const lockfile = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { license?: string; link?: boolean; version?: string }>
  }
  const faults = Object.entries(lockfile.packages)
    .filter(([path, entry]) => path.includes('node_modules/') && entry.link !== true)
    .filter(([, entry]) => !isAllowed(entry.license ?? ''))
    .map(([path, entry]) => `${path}: ${entry.license ?? 'no licence given'}`)
  assert.deepEqual(faults, [])
})

/** "(MIT OR GPL-3.0)": one of them will do. "(MIT AND Zlib)": all must. */
function isAllowed(expression: string): boolean {
  const plain = expression.replace(/[()]/g, '')
  const choices = plain.split(' OR ')
  return choices.some((choice) => choice.split(' AND ').every((name) => licencesAllowed.has(name)))
}

const secretShapes = [
  /-----BEGIN (EC |RSA |ENCRYPTED )?PRIVATE KEY-----\n[A-Za-z0-9+/=\n]{60,}/,
  /\beyJ[A-Za-z0-9_-]{15,}\.eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{20,}/,
  /\bAKIA[0-9A-Z]{16}\b/,
  /\bgh[pousr]_[A-Za-z0-9]{36}\b/,
]

/** Made up, to show that their like never reaches a log. */
const madeUpSecrets = ['packages/observability/src/redaction.test.ts']

test('no private key or token is in the tree', () => {
  const faults = sourceFiles(/./)
    .filter(({ path }) => !madeUpSecrets.includes(path))
    .filter(({ text }) => secretShapes.some((shape) => shape.test(text)))
    .map(({ path }) => path)
  assert.deepEqual(faults, [])
})

test('the generated code is what the contract generates', () => {
  const out = mkdtempSync(join(tmpdir(), 'cloudless-gen-'))
  try {
    for (const folder of ['.', 'packages/runtime']) {
      const target = join(out, folder)
      const cwd = join(root, folder)
      execFileSync('buf', ['generate', '--output', target], { cwd, stdio: 'pipe' })
      const generated = folder === '.' ? 'packages/api/src/gen' : 'src/gen'
      execFileSync('diff', ['-r', join(target, generated), join(cwd, generated)], { stdio: 'pipe' })
    }
  } finally {
    rmSync(out, { recursive: true, force: true })
  }
})
