/**
 * Puts a stream of unknown length into an object store, in parts: the object appears when the last is there, or not at all.
 */
import { CloudlessError } from '@cloudless/base'
import { AwsClient } from 'aws4fetch'
import type { S3Target } from './s3-target.ts'

export interface UploadOptions {
  readonly signal: AbortSignal
  /** 8 MiB when not given; the store wants 5 MiB at least, and takes 10,000 parts. */
  readonly partBytes?: number
}

const partBytesDefault = 8 * 1024 * 1024
const triesMax = 3
const explanationLengthMax = 300

/** Throws `unavailable` when the store cannot be reached, `permission_denied` or `failed_precondition` when it refuses. */
export async function uploadToS3(
  target: S3Target,
  chunks: AsyncIterable<Uint8Array>,
  { signal, partBytes = partBytesDefault }: UploadOptions,
): Promise<void> {
  const upload = await MultipartUpload.begin(target, signal)
  try {
    for await (const part of inParts(chunks, partBytes)) await upload.put(part)
    await upload.complete()
  } catch (reason) {
    await upload.abandon()
    throw reason
  }
}

class MultipartUpload {
  readonly #client: AwsClient
  readonly #url: string
  readonly #id: string
  readonly #signal: AbortSignal
  readonly #tags: string[] = []

  private constructor(client: AwsClient, url: string, id: string, signal: AbortSignal) {
    this.#client = client
    this.#url = url
    this.#id = id
    this.#signal = signal
  }

  static async begin(target: S3Target, signal: AbortSignal): Promise<MultipartUpload> {
    const { url, sessionToken, ...credentials } = target
    const client = new AwsClient({
      ...credentials,
      ...(sessionToken !== undefined && { sessionToken }),
      service: 's3',
      retries: triesMax,
    })
    const answer = await ask(client, `${url}?uploads`, { method: 'POST', signal })
    const id = /<UploadId>([^<]+)<\/UploadId>/.exec(await answer.text())?.[1]
    if (id === undefined) {
      throw new CloudlessError('failed_precondition', `${url} is no place of an S3 object store`)
    }
    return new MultipartUpload(client, url, unescaped(id), signal)
  }

  async put(part: Uint8Array<ArrayBuffer>): Promise<void> {
    const number = this.#tags.length + 1
    const answer = await this.#ask(`partNumber=${number}&`, { method: 'PUT', body: part })
    const tag = answer.headers.get('etag')
    if (tag === null) {
      throw new CloudlessError('failed_precondition', `${this.#url}: part ${number} has no ETag`)
    }
    this.#tags.push(tag)
  }

  async complete(): Promise<void> {
    const parts = this.#tags.map(
      (tag, n) => `<Part><PartNumber>${n + 1}</PartNumber><ETag>${tag}</ETag></Part>`,
    )
    const body = `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`
    const answer = await this.#ask('', { method: 'POST', body })
    // It begins to answer before it has done it: a failure may come with a status that says otherwise.
    const text = await answer.text()
    if (text.includes('<Error>')) throw refused(this.#url, 200, text)
  }

  /** So that its parts are not kept, and paid for. */
  async abandon(): Promise<void> {
    const url = `${this.#url}?uploadId=${encodeURIComponent(this.#id)}`
    // What made it fail is told; that its rest lies there is the lesser evil.
    await this.#client.fetch(url, { method: 'DELETE' }).catch(() => undefined)
  }

  #ask(query: string, request: RequestInit): Promise<Response> {
    const url = `${this.#url}?${query}uploadId=${encodeURIComponent(this.#id)}`
    return ask(this.#client, url, { ...request, signal: this.#signal })
  }
}

async function ask(client: AwsClient, url: string, request: RequestInit): Promise<Response> {
  let answer: Response
  try {
    answer = await client.fetch(url, request)
  } catch (reason) {
    if (request.signal?.aborted) throw CloudlessError.from(request.signal.reason)
    const { cause } = reason as Error
    throw new CloudlessError(
      'unavailable',
      `${new URL(url).origin} cannot be reached: ${CloudlessError.from(cause ?? reason).message}`,
      { cause: reason },
    )
  }
  if (answer.ok) return answer
  throw refused(url.split('?', 1)[0]!, answer.status, await answer.text())
}

function refused(url: string, status: number, text: string): CloudlessError {
  const said = /<Message>([^<]*)<\/Message>/.exec(text)?.[1] ?? text
  const code = status === 401 || status === 403 ? 'permission_denied' : 'failed_precondition'
  const what = unescaped(said).slice(0, explanationLengthMax) || `status ${status}`
  return new CloudlessError(code, `the object store refuses ${url}: ${what}`)
}

function unescaped(xml: string): string {
  return xml
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&')
}

/** Each full but the last; one, maybe empty, when there is nothing. */
async function* inParts(
  chunks: AsyncIterable<Uint8Array>,
  partBytes: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let part = new Uint8Array(partBytes)
  let filled = 0
  let count = 0
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.byteLength;) {
      const piece = chunk.subarray(at, at + partBytes - filled)
      part.set(piece, filled)
      at += piece.byteLength
      filled += piece.byteLength
      if (filled < partBytes) continue
      yield part
      count++
      part = new Uint8Array(partBytes)
      filled = 0
    }
  }
  if (filled > 0 || count === 0) yield part.subarray(0, filled)
}
