/** "Did you mean ...?" for names that people mistype. */

/** Longer names are not compared: nobody mistypes them, and the comparison is quadratic. */
const lengthMax = 64

/**
 * The candidate nearest to `name`, if one is near enough to be meant: at most a third of its letters differ, compared
 * without regard to case and separators.
 */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  if (name.length > lengthMax) return undefined
  const wanted = simplified(name)
  let nearest: string | undefined
  let distanceMin = Math.max(1, Math.floor(wanted.length / 3)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(wanted, simplified(candidate))
    if (distance < distanceMin) {
      nearest = candidate
      distanceMin = distance
    }
  }
  return nearest
}

/** `; did you mean "x"?`, or nothing. */
export function suggestion(name: string, candidates: Iterable<string>): string {
  const nearest = nearestName(name, candidates)
  return nearest === undefined ? '' : `; did you mean "${nearest}"?`
}

function simplified(name: string): string {
  return name.toLowerCase().replaceAll(/[-_.]/g, '')
}

/** Insertions, deletions and replacements that turn `from` into `to` (Levenshtein, two rows). */
function editDistance(from: string, to: string): number {
  let above = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const replaced = above[column - 1]! + (from[row - 1] === to[column - 1] ? 0 : 1)
      current.push(Math.min(replaced, above[column]! + 1, current[column - 1]! + 1))
    }
    above = current
  }
  return above[to.length]!
}
