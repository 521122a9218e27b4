import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CloudlessError } from '@cloudless/base'
import fc from 'fast-check'
import { parseImageReference } from './reference.ts'

const digest = `sha256:${'a'.repeat(64)}`

const valid: readonly (readonly [
  text: string,
  name: string,
  registry: string,
  repository: string,
])[] = [
  ['nginx', 'docker.io/library/nginx:latest', 'docker.io', 'library/nginx'],
  ['nginx:1.25-alpine', 'docker.io/library/nginx:1.25-alpine', 'docker.io', 'library/nginx'],
  ['team/app', 'docker.io/team/app:latest', 'docker.io', 'team/app'],
  ['docker.io/nginx', 'docker.io/library/nginx:latest', 'docker.io', 'library/nginx'],
  ['index.docker.io/a/b:1', 'docker.io/a/b:1', 'docker.io', 'a/b'],
  ['localhost/app', 'localhost/app:latest', 'localhost', 'app'],
  ['localhost:5000/a/b/c:1', 'localhost:5000/a/b/c:1', 'localhost:5000', 'a/b/c'],
  ['cloudless.local/simple-web:1', 'cloudless.local/simple-web:1', 'cloudless.local', 'simple-web'],
  [`a@${digest}`, `docker.io/library/a@${digest}`, 'docker.io', 'library/a'],
  [`a:1@${digest}`, `docker.io/library/a:1@${digest}`, 'docker.io', 'library/a'],
  ['[::1]:5000/a', '[::1]:5000/a:latest', '[::1]:5000', 'a'],
]

test('completes short image names as container engines do', () => {
  for (const [text, name, registry, repository] of valid) {
    const reference = parseImageReference(text)
    assert.deepEqual(
      [reference.name, reference.registry, reference.repository],
      [name, registry, repository],
      text,
    )
    assert.deepEqual(parseImageReference(name), reference, 'a full name means itself')
  }
})

test('refuses what is no image name, saying why', () => {
  const invalid = [
    '',
    ' ',
    'UPPER',
    'a:',
    'a:b:c',
    'a//b',
    '/a',
    'a/',
    'a@sha256:12',
    'a@b@c',
    `a@sha512:${'a'.repeat(128)}`,
    'a b',
    '-a.x/b',
    'a:-1',
    '../x',
    'x'.repeat(600),
  ]
  for (const text of invalid) {
    assert.throws(() => parseImageReference(text), { code: 'invalid_argument' }, text)
  }
})

test('never throws anything but a reported problem', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 100 }), (text) => {
      try {
        parseImageReference(text)
      } catch (reason) {
        assert.ok(reason instanceof CloudlessError)
      }
    }),
  )
})
