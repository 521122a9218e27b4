/** What a command may do to the world outside the cluster: print, read stdin, know the terminal. */

export interface Io {
  /** To stdout, as it is; callers end their lines. */
  out(text: string | Uint8Array): void
  /** To stderr: progress, warnings and errors, so that stdout stays fit for a pipe. */
  err(text: string | Uint8Array): void
  /** Resolves when stdout's reader has caught up; for output that never ends. */
  drained(): Promise<void>
  /** Chunks of stdin until its end. */
  readonly input: AsyncIterable<Uint8Array>
  /** Everything stdin holds, as text; at most `textBytesMax`. */
  readAllInput(): Promise<string>
  readonly inputIsTerminal: boolean
  readonly outputIsTerminal: boolean
  readonly errorIsTerminal: boolean
  readonly useColour: boolean
  /** Of the terminal; 80 x 24 when there is none. */
  windowSize(): WindowShape
  /** Calls back when the window changes; the returned function stops that. */
  onResize(changed: () => void): () => void
  /** Raw mode passes every key on, Ctrl-C too. Restored by the launcher whatever happens. */
  setRawInput(raw: boolean): void
  /** Lets the process end although stdin is open. */
  closeInput(): void
}

export interface WindowShape {
  readonly columns: number
  readonly rows: number
}

/** Manifests are at most 1 MiB a document; a stream of them may hold several. */
export const inputBytesMax = 16 * 1024 * 1024
