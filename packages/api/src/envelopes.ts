/**
 * The frames in which the Connect protocol puts the messages of a stream: a byte of flags, four of length, the message.
 * For those who read and write streams without the library's layers, which cost more than the messages do.
 */
import { CloudlessError } from '@cloudless/base'

export interface Envelope {
  readonly flags: number
  readonly content: Buffer
}

/** The content is compressed. */
export const compressedFlag = 0b01
/** The last of an answer: JSON with the error, if any. */
export const endStreamFlag = 0b10

const headerBytes = 5

export function encodeEnvelope(flags: number, content: Uint8Array): Buffer {
  const envelope = Buffer.allocUnsafe(headerBytes + content.byteLength)
  envelope[0] = flags
  envelope.writeUInt32BE(content.byteLength, 1)
  envelope.set(content, headerBytes)
  return envelope
}

/** Takes a stream's bytes as they come and gives the envelopes that are complete. */
export class EnvelopeReader {
  readonly #contentBytesMax: number
  #chunks: Buffer[] = []
  #bytes = 0
  /** From here on there is something new to see. */
  #bytesNeeded = headerBytes

  constructor(contentBytesMax: number) {
    this.#contentBytesMax = contentBytesMax
  }

  /** Whether a part of an envelope waits for its rest. */
  get isWithin(): boolean {
    return this.#bytes > 0
  }

  /** Throws `resource_exhausted` for one that is larger than may be. */
  *read(chunk: Buffer): Generator<Envelope, void> {
    this.#chunks.push(chunk)
    this.#bytes += chunk.byteLength
    if (this.#bytes < this.#bytesNeeded) return
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks)
    let at = 0
    this.#bytesNeeded = headerBytes
    while (bytes.byteLength - at >= headerBytes) {
      const end = at + headerBytes + this.#contentBytes(bytes, at)
      if (end > bytes.byteLength) {
        this.#bytesNeeded = end - at
        break
      }
      yield { flags: bytes[at]!, content: bytes.subarray(at + headerBytes, end) }
      at = end
    }
    this.#chunks = at === bytes.byteLength ? [] : [bytes.subarray(at)]
    this.#bytes = bytes.byteLength - at
  }

  #contentBytes(bytes: Buffer, at: number): number {
    const length = bytes.readUInt32BE(at + 1)
    if (length <= this.#contentBytesMax) return length
    throw new CloudlessError(
      'resource_exhausted',
      `a message of ${length} bytes is larger than the ${this.#contentBytesMax} that one may have`,
    )
  }
}
