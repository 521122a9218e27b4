/**
 * The form of a line in a log file: "2026-11-20T21:50:54.123456Z stdout F the line". The container runtime interface's,
 * so that log shippers know it. F: the line ends here; P: it goes on in the next.
 */
import type { LogLine } from '../runtime.ts'

export const newline = 0x0a

/** Bytes of output in one line of the file; longer ones are parted. */
export const lineBytesMax = 16 * 1024

export function formatLogLine(line: Omit<LogLine, 'line'>, content: Uint8Array): Buffer {
  const { stream, partial } = line
  const head = `${formatTimestamp(line.timestampUs)} ${stream} ${partial ? 'P' : 'F'} `
  return Buffer.concat([Buffer.from(head), content, Buffer.of(newline)])
}

/** Undefined for what is no line of ours. Bytes that are not UTF-8 become U+FFFD. */
export function parseLogLine(text: string): LogLine | undefined {
  const match = /^(\S+) (stdout|stderr) ([FP]) ?/.exec(text)
  if (match === null) return undefined
  const timestampUs = parseTimestamp(match[1]!)
  if (timestampUs === undefined) return undefined
  return {
    timestampUs,
    stream: match[2] as 'stdout' | 'stderr',
    partial: match[3] === 'P',
    line: text.slice(match[0].length),
  }
}

export function formatTimestamp(timestampUs: number): string {
  const ms = Math.floor(timestampUs / 1000)
  const us = String(timestampUs - ms * 1000).padStart(3, '0')
  return new Date(ms).toISOString().replace('Z', `${us}Z`)
}

function parseTimestamp(text: string): number | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})(\d{3})Z$/.exec(text)
  if (match === null) return undefined
  const ms = Date.parse(`${match[1]}Z`)
  return Number.isNaN(ms) ? undefined : ms * 1000 + Number(match[2])
}

export interface SplitOutput {
  readonly lines: readonly { readonly content: Uint8Array; readonly partial: boolean }[]
  /** How much of the output the lines take; the rest waits for its end of line. */
  readonly consumedBytes: number
}

/** `isLast`: nothing follows, so an unfinished line is taken as it is. */
export function splitOutput(output: Uint8Array, isLast: boolean): SplitOutput {
  const lines: { content: Uint8Array; partial: boolean }[] = []
  let start = 0
  for (;;) {
    const end = output.indexOf(newline, start)
    const length = (end === -1 ? output.length : end) - start
    if (length > lineBytesMax) {
      lines.push({ content: output.subarray(start, start + lineBytesMax), partial: true })
      start += lineBytesMax
    } else if (end !== -1) {
      lines.push({ content: output.subarray(start, end), partial: false })
      start = end + 1
    } else {
      if (isLast && length > 0) {
        lines.push({ content: output.subarray(start), partial: false })
        start = output.length
      }
      return { lines, consumedBytes: start }
    }
  }
}
