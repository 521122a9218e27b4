import { nearestName } from '../suggest.ts'

/** "flag --zones: is not known; did you mean --zone?" */
export function unknownName(
  what: string,
  name: string,
  known: readonly string[],
  prefix: string,
): string {
  const nearest = nearestName(name, known)
  return `${what}: is not known${nearest === undefined ? '' : `; did you mean ${prefix}${nearest}?`}`
}
