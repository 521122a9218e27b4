/** "1 replica", "3 replicas". For words whose plural ends in s. */
export function counted(count: number, singular: string): string {
  return `${count} ${singular}${count === 1 ? '' : 's'}`
}
