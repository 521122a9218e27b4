/** One line per step: what is being done, then a tick and the seconds it took. */
import { systemClock } from '@cloudless/base'

export interface Progress {
  /** Runs a step and shows it; what it resolves with beyond undefined is added to the line when it is text. */
  step<T>(title: string, act: () => Promise<T>): Promise<T>
  say(line: string): void
}

export function createProgress(output: NodeJS.WriteStream): Progress {
  const seconds = (sinceMs: number): string =>
    `${((systemClock.monotonicMs() - sinceMs) / 1000).toFixed(1)} s`

  return {
    async step(title, act) {
      const startedMs = systemClock.monotonicMs()
      if (output.isTTY) output.write(`  … ${title}`)
      try {
        const result = await act()
        const note = typeof result === 'string' && result !== '' ? `: ${result}` : ''
        output.write(
          `${output.isTTY ? '\r\x1b[K' : ''}  ✓ ${title}${note} (${seconds(startedMs)})\n`,
        )
        return result
      } catch (reason) {
        output.write(`${output.isTTY ? '\r\x1b[K' : ''}  ✗ ${title} (${seconds(startedMs)})\n`)
        throw reason
      }
    },
    say(line) {
      output.write(`${line}\n`)
    },
  }
}
