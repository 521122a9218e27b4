/** Values of the contract's enumerations in words, for messages. */
export function wordOf(words: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(words).find((word) => words[word] === value) ?? String(value)
}
