/** Writes a blob into containerd's content store: begun, continued and committed over one stream. */
import type { ContainerdClient } from '../containerd/client.ts'
import { underLease, unlimited } from '../containerd/client.ts'
import {
  WriteAction,
  type WriteContentRequest,
  type WriteContentResponse,
} from '../gen/github.com/containerd/containerd/api/services/content/v1/content_pb.ts'
import type { MessageInitShape } from '@bufbuild/protobuf'
import type { WriteContentRequestSchema } from '../gen/github.com/containerd/containerd/api/services/content/v1/content_pb.ts'
import { isAlreadyThere } from '../containerd/errors.ts'

export interface WriterOptions {
  readonly digest: string
  /** Bytes in all. */
  readonly size: number
  readonly leaseId: string
  /** What the garbage collector is to keep along with it, among others. */
  readonly labels: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

type Message = MessageInitShape<typeof WriteContentRequestSchema>

/** Fewer, larger messages: each is a round trip. */
const messageBytesMax = 1024 * 1024

export class ContentWriter {
  readonly #options: WriterOptions
  readonly #requests = new Mailbox<Message>()
  readonly #answers: AsyncIterator<WriteContentResponse>
  readonly #pending: Uint8Array[] = []
  #pendingBytes = 0
  #offset = 0

  constructor(client: ContainerdClient, options: WriterOptions) {
    this.#options = options
    const answers = client.content.write(this.#requests as AsyncIterable<WriteContentRequest>, {
      ...underLease(options.leaseId),
      ...unlimited,
      signal: options.signal,
    })
    this.#answers = answers[Symbol.asyncIterator]()
  }

  /** Resolves with how many bytes an earlier attempt has written, or 'present' when all is there. */
  async open(): Promise<number | 'present'> {
    try {
      const { offset } = await this.#ask({ action: WriteAction.STAT })
      this.#offset = Number(offset)
      return this.#offset
    } catch (reason) {
      if (isAlreadyThere(reason)) return 'present'
      throw reason
    }
  }

  async write(data: Uint8Array): Promise<void> {
    this.#pending.push(data)
    this.#pendingBytes += data.length
    if (this.#pendingBytes >= messageBytesMax) await this.#flush()
  }

  /** containerd compares the digest: what is committed is what was asked for. */
  async commit(): Promise<void> {
    await this.#flush()
    const { digest, size, labels } = this.#options
    try {
      await this.#ask({
        action: WriteAction.COMMIT,
        offset: BigInt(this.#offset),
        total: BigInt(size),
        expected: digest,
        labels: { ...labels },
      })
    } catch (reason) {
      if (!isAlreadyThere(reason)) throw reason
    }
  }

  /** Ends the stream; what was written stays for another attempt. */
  async close(): Promise<void> {
    this.#requests.end()
    await this.#answers.return?.()
  }

  async #flush(): Promise<void> {
    if (this.#pendingBytes === 0) return
    const data = Buffer.concat(this.#pending.splice(0))
    this.#pendingBytes = 0
    const offset = BigInt(this.#offset)
    await this.#ask({ action: WriteAction.WRITE, offset, data })
    this.#offset += data.length
  }

  async #ask(message: Message): Promise<WriteContentResponse> {
    this.#requests.put({ ref: refOf(this.#options.digest), ...message })
    const answer = await this.#answers.next()
    if (answer.done) throw new Error('containerd ended the stream while content was written.')
    return answer.value
  }
}

/** The name of an unfinished write. */
export function refOf(digest: string): string {
  return `cloudless-${digest}`
}

/** An iterable that is fed; at most one message waits, as each is answered before the next. */
class Mailbox<T> implements AsyncIterable<T> {
  readonly #items: T[] = []
  #wake = (): void => {}
  #ended = false

  put(item: T): void {
    this.#items.push(item)
    this.#wake()
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (;;) {
      const item = this.#items.shift()
      if (item !== undefined) yield item
      else if (this.#ended) return
      else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}
