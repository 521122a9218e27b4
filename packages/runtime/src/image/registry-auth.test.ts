import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseChallenge, tokenLifeMs, tokenUrl } from './registry-auth.ts'
import { endpointsFor } from './registry-endpoint.ts'

test('understands the challenges of registries', () => {
  const cases = [
    ['Basic realm="x"', { kind: 'basic' }],
    [
      'Bearer realm="https://auth.example/token",service="r",scope="repository:a/b:pull"',
      {
        kind: 'bearer',
        realm: 'https://auth.example/token',
        service: 'r',
        scope: 'repository:a/b:pull',
      },
    ],
    [
      'bearer realm=https://a.example',
      { kind: 'bearer', realm: 'https://a.example', service: '', scope: '' },
    ],
    ['Bearer service="no realm"', undefined],
    ['Negotiate', undefined],
    ['', undefined],
  ] as const
  for (const [header, challenge] of cases) assert.deepEqual(parseChallenge(header), challenge)
})

test('asks for a token over https alone, unless the registry itself is insecure', () => {
  const challenge = {
    kind: 'bearer',
    realm: 'https://a.example/t?x=1',
    service: 's',
    scope: '',
  } as const
  assert.equal(
    tokenUrl(challenge, 'repository:a:pull', false).href,
    'https://a.example/t?x=1&service=s&scope=repository%3Aa%3Apull',
  )
  for (const realm of ['http://a.example', 'file:///etc/passwd', 'nonsense']) {
    assert.throws(() => tokenUrl({ ...challenge, realm }, '', false), { code: 'unauthenticated' })
  }
  assert.ok(tokenUrl({ ...challenge, realm: 'http://a.example' }, '', true))
})

test('uses a token for less time than it lives', () => {
  assert.equal(tokenLifeMs(300), 290_000)
  assert.equal(tokenLifeMs(undefined), 50_000)
  assert.equal(tokenLifeMs(1), 1000)
  assert.equal(tokenLifeMs(1e9), 3_590_000)
})

test('tries mirrors before the registry, over http only where that was allowed', () => {
  const credential = { name: 'c', registry: 'docker.io', username: 'u', password: 'p' }
  const endpoints = endpointsFor('docker.io', {
    mirrors: { 'docker.io': ['mirror.lan:5000'] },
    insecure: ['mirror.lan:5000'],
    credentials: [credential],
  })
  assert.deepEqual(endpoints, [
    {
      name: 'mirror.lan:5000',
      origin: 'http://mirror.lan:5000',
      isInsecure: true,
      credentials: [],
    },
    {
      name: 'docker.io',
      origin: 'https://registry-1.docker.io',
      isInsecure: false,
      credentials: [credential],
    },
  ])
  assert.equal(endpointsFor('localhost:5000', {})[0]?.isInsecure, true)
  assert.equal(endpointsFor('localhost.example', {})[0]?.isInsecure, false)
})
