/** Upper case at the start, a full stop at the end. */
export function sentence(text: string): string {
  const start = /^[a-z][a-z]* /.test(text) ? text[0]!.toUpperCase() + text.slice(1) : text
  return /[.?!)\]]$/.test(start) ? start : `${start}.`
}
