import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { formatImageReference, normaliseImage, parseImageReference } from './image-reference.ts'

const digest = `sha256:${'ab'.repeat(32)}`

describe('names of images', () => {
  for (const [written, full] of [
    ['nginx', 'docker.io/library/nginx:latest'],
    ['nginx:1.25-alpine', 'docker.io/library/nginx:1.25-alpine'],
    ['me/app', 'docker.io/me/app:latest'],
    ['docker.io/nginx', 'docker.io/library/nginx:latest'],
    ['index.docker.io/nginx', 'docker.io/library/nginx:latest'],
    ['ghcr.io/me/my_app/web:1.2', 'ghcr.io/me/my_app/web:1.2'],
    ['localhost/app', 'localhost/app:latest'],
    ['localhost:5000/app:v1', 'localhost:5000/app:v1'],
    ['[::1]:5000/app', '[::1]:5000/app:latest'],
    ['cloudless.local/simple-web:1', 'cloudless.local/simple-web:1'],
    [`nginx@${digest}`, `docker.io/library/nginx@${digest}`],
    [`nginx:1@${digest}`, `docker.io/library/nginx:1@${digest}`],
  ] as const) {
    it(`takes ${written} for ${full}`, () => assert.equal(normaliseImage(written), full))
  }

  for (const written of [
    '',
    'Nginx',
    'nginx:',
    'nginx:a b',
    'nginx@sha256:12',
    `nginx@${digest}@${digest}`,
    'a//b',
    '/a',
    'a/',
    'bad_host.io:99999999/a',
    'nginx:' + 'a'.repeat(129),
    'a'.repeat(256),
    'a/'.repeat(400) + 'a',
    'ghcr.io/',
  ]) {
    it(`refuses ${JSON.stringify(written.slice(0, 40))}`, () => {
      assert.equal(parseImageReference(written).kind, 'invalid')
    })
  }

  it('reads every text, and its own full names as they are', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z.:/@-]{1,40}$/)), (text) => {
        const first = parseImageReference(text)
        if (first.kind === 'invalid') return
        const full = formatImageReference(first.reference)
        assert.deepEqual(parseImageReference(full), first)
      }),
      { numRuns: 1000 },
    )
  })
})
