/**
 * Calls `act` once when the signal is aborted, and at once when it is already: a listener that is added too late is never
 * called. The result takes it back; it is safe to call twice.
 */
export function onAbort(signal: AbortSignal, act: () => void): () => void {
  if (signal.aborted) {
    act()
    return () => undefined
  }
  signal.addEventListener('abort', act, { once: true })
  return () => signal.removeEventListener('abort', act)
}
