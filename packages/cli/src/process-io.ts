/** Io over the real process. */
import { CloudlessError } from '@cloudless/base'
import { once } from 'node:events'
import { inputBytesMax, type Io } from './io.ts'

export function processIo(): Io {
  const { stdin, stdout, stderr, env } = process
  const colourWanted = env['NO_COLOR'] === undefined && env['TERM'] !== 'dumb'

  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    drained: async () => {
      if (stdout.writableNeedDrain) await once(stdout, 'drain')
    },
    input: stdin,
    readAllInput: () => readAll(stdin),
    inputIsTerminal: stdin.isTTY === true,
    outputIsTerminal: stdout.isTTY === true,
    errorIsTerminal: stderr.isTTY === true,
    useColour: colourWanted && stdout.isTTY === true,
    windowSize: () => ({ columns: stdout.columns ?? 80, rows: stdout.rows ?? 24 }),
    onResize(changed) {
      stdout.on('resize', changed)
      return () => void stdout.off('resize', changed)
    },
    setRawInput(raw) {
      if (stdin.isTTY) stdin.setRawMode(raw)
    },
    closeInput() {
      stdin.pause()
      stdin.unref?.()
    },
  }
}

async function readAll(stdin: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of stdin) {
    bytes += chunk.byteLength
    if (bytes > inputBytesMax) {
      throw new CloudlessError(
        'invalid_argument',
        `stdin holds more than ${inputBytesMax} bytes; give files with -f instead`,
      )
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
