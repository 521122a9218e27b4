import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { parseS3Target, type S3Target } from './s3-target.ts'
import { uploadToS3 } from './s3-upload.ts'

const secret = 'a/secret+key'
const environment = { AWS_ACCESS_KEY_ID: 'ME', AWS_SECRET_ACCESS_KEY: secret, AWS_REGION: 'here-1' }
const signal = new AbortController().signal

const hmac = (key: string | Buffer, text: string): Buffer =>
  createHmac('sha256', key).update(text).digest()

/** Signature version 4 as Amazon describes it, of a request that has come. */
function signatureOf({ method, url, headers }: IncomingMessage): string {
  const { pathname, search } = new URL(url!, 'http://any')
  const signed = /SignedHeaders=([^,]+)/.exec(headers.authorization!)![1]!
  const query = search
    .slice(1)
    .split('&')
    .map((pair) => (pair.includes('=') ? pair : `${pair}=`))
  const canonical = [
    ...[method!, pathname, query.toSorted().join('&')],
    ...signed.split(';').map((name) => `${name}:${String(headers[name])}`),
    ...['', signed, String(headers['x-amz-content-sha256'])],
  ].join('\n')
  const time = String(headers['x-amz-date'])
  const scope = `${time.slice(0, 8)}/here-1/s3/aws4_request`
  const digest = createHash('sha256').update(canonical).digest('hex')
  const key = scope.split('/').reduce(hmac, `AWS4${secret}` as string | Buffer)
  return hmac(key, `AWS4-HMAC-SHA256\n${time}\n${scope}\n${digest}`).toString('hex')
}

interface Store {
  target(text: string): S3Target
  readonly objects: Map<string, string>
  readonly calls: string[]
  /** Numbers of parts that fail once. */
  readonly failing: Set<string>
}

/** An object store with what an upload in parts needs, which believes nobody without the right signature. */
async function startStore(t: TestContext): Promise<Store> {
  const objects = new Map<string, string>()
  const calls: string[] = []
  const failing = new Set<string>()
  let parts: string[] = []
  const answer = (request: IncomingMessage, body: string): [number, string, string?] => {
    const { pathname, searchParams } = new URL(request.url!, 'http://any')
    const given = /Signature=(\w+)/.exec(request.headers.authorization ?? '')?.[1]
    if (given !== signatureOf(request)) return [403, '<Message>wrong &amp; signature</Message>']
    calls.push(`${request.method} ${searchParams.get('partNumber') ?? ''}`.trim())
    if (pathname.startsWith('/full/') && request.method === 'PUT') {
      return [507, '<Message>no room</Message>']
    }
    if (searchParams.has('uploads')) return [200, '<UploadId>a&amp;b</UploadId>']
    if (searchParams.get('uploadId') !== 'a&b') return [404, '']
    if (request.method === 'DELETE') return [204, '']
    const number = searchParams.get('partNumber')
    if (number !== null) {
      if (failing.delete(number)) return [503, '']
      parts[Number(number) - 1] = body
      return [200, '', `"tag-${number}"`]
    }
    const tags = [...body.matchAll(/"tag-(\d+)"/g)].map(([, n]) => parts[Number(n) - 1])
    objects.set(decodeURIComponent(pathname), tags.join(''))
    parts = []
    return [200, '<CompleteMultipartUploadResult/>']
  }
  const server = createServer(async (request, response) => {
    const body: Uint8Array[] = []
    for await (const chunk of request) body.push(chunk as Uint8Array)
    const [status, text, tag] = answer(request, Buffer.concat(body).toString())
    response.writeHead(status, tag === undefined ? {} : { etag: tag }).end(text)
  }).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  return {
    target: (text) => parseS3Target(text, endpoint, environment)!,
    ...{ objects, calls, failing },
  }
}

async function* pieces(text: string, size: number, fails = false): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < text.length; at += size) yield Buffer.from(text.slice(at, at + size))
  if (fails) throw new Error('cut')
}

test('what goes up in parts is one object, and a part that fails is sent again', async (t) => {
  const store = await startStore(t)
  store.failing.add('2')
  const text = 'abcdefghijklmnopqrstuvwxyz'
  await uploadToS3(store.target('s3://backups/a dir/b+c'), pieces(text, 7), {
    signal,
    partBytes: 10,
  })
  assert.equal(store.objects.get('/backups/a dir/b+c'), text)
  assert.deepEqual(store.calls, ['POST', 'PUT 1', 'PUT 2', 'PUT 2', 'PUT 3', 'POST'])
  await uploadToS3(store.target('s3://backups/none'), pieces('', 1), { signal })
  assert.equal(store.objects.get('/backups/none'), '')
})

test('what is cut off or refused leaves no object and no parts', async (t) => {
  const store = await startStore(t)
  const cut = uploadToS3(store.target('s3://backups/cut'), pieces('abc', 1, true), { signal })
  await assert.rejects(cut, /cut/)
  assert.equal(store.calls.at(-1), 'DELETE')
  const options = { signal, partBytes: 2 }
  const full = uploadToS3(store.target('s3://full/x'), pieces('abcdef', 2), options)
  await assert.rejects(full, { code: 'failed_precondition', message: /no room/ })
  assert.equal(store.calls.at(-1), 'DELETE')
  assert.equal(store.objects.size, 0)
})

test('who is not known is told what the store says, and an absent store is unavailable', async (t) => {
  const store = await startStore(t)
  const target = store.target('s3://backups/x')
  const stranger = { ...target, secretAccessKey: 'other' }
  await assert.rejects(uploadToS3(stranger, pieces('a', 1), { signal }), {
    code: 'permission_denied',
    message: /wrong & signature/,
  })
  const nowhere = { ...target, url: 'http://127.0.0.1:9/backups/x' }
  await assert.rejects(uploadToS3(nowhere, pieces('a', 1), { signal }), { code: 'unavailable' })
})

test('an address says where, and the variables who', () => {
  assert.equal(parseS3Target('a.backup', undefined, environment), undefined)
  const { url, region } = parseS3Target('s3://my.bucket/a/b c', undefined, environment)!
  assert.deepEqual([url, region], ['https://s3.here-1.amazonaws.com/my.bucket/a/b%20c', 'here-1'])
  const other = { ...environment, AWS_ENDPOINT_URL: 'https://nas:9000/' }
  assert.equal(parseS3Target('s3://bkt/a', undefined, other)!.url, 'https://nas:9000/bkt/a')
  for (const [text, endpoint, variables] of [
    ['s3://', undefined, environment],
    ['s3://bucket', undefined, environment],
    ['s3://Bucket_/x', undefined, environment],
    ['s3://bucket/x', 'nas:9000', environment],
    ['s3://bucket/x', undefined, {}],
  ] as const) {
    assert.throws(() => parseS3Target(text, endpoint, variables), { name: 'UsageError' }, text)
  }
})
