/** "Did you mean" at the end of a sentence. */
import { nearestName } from '@cloudless/base'

/** ' Did you mean "x"?' or nothing. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const nearest = nearestName(word, known)
  return nearest === undefined ? '' : ` Did you mean "${nearest}"?`
}
