/** How many changes the history holds, and from which revision on it would hold fewer. */
import type { DatabaseSync } from 'node:sqlite'

export class HistorySize {
  /** Changes of each revision that has any, oldest first. */
  #revisions: { readonly revision: number; readonly changes: number }[] = []
  #changes = 0

  /** Of what the database holds now. */
  constructor(database: DatabaseSync) {
    const rows = database.prepare(
      'SELECT revision, COUNT(*) AS changes FROM history GROUP BY revision ORDER BY revision',
    )
    for (const row of rows.iterate()) this.add(Number(row['revision']), Number(row['changes']))
  }

  get changes(): number {
    return this.#changes
  }

  add(revision: number, changes: number): void {
    if (changes === 0) return
    this.#revisions.push({ revision, changes })
    this.#changes += changes
  }

  /** It was cut off there. */
  forgetBefore(revision: number): void {
    const kept = this.#revisions.findIndex((one) => one.revision >= revision)
    const gone = this.#revisions.splice(0, kept === -1 ? this.#revisions.length : kept)
    for (const { changes } of gone) this.#changes -= changes
  }

  /** The oldest revision from which on there are at most so many changes; the newest one is always kept. */
  oldestOf(changesMax: number): number {
    let left = this.#changes
    for (const { revision, changes } of this.#revisions) {
      if (left <= changesMax) return revision
      left -= changes
    }
    return this.#revisions.at(-1)?.revision ?? 0
  }
}
