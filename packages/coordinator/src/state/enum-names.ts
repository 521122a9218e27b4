/** The name of an enum's value, such as "READY" for NodePhase.READY; its number when it is not known. */
export function enumName(values: Readonly<Record<string, number>>, value: number): string {
  for (const [name, candidate] of Object.entries(values)) if (candidate === value) return name
  return String(value)
}
