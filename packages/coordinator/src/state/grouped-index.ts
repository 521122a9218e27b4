/** Which ids belong to which group, kept up to date one move at a time. */
const none: ReadonlySet<string> = new Set()

export class GroupedIndex {
  readonly #groups = new Map<string, Set<string>>()

  of(group: string): ReadonlySet<string> {
    return this.#groups.get(group) ?? none
  }

  move(id: string, from: string | undefined, to: string | undefined): void {
    if (from === to) return
    if (from !== undefined) {
      const group = this.#groups.get(from)
      group?.delete(id)
      if (group?.size === 0) this.#groups.delete(from)
    }
    if (to === undefined) return
    const group = this.#groups.get(to)
    if (group) group.add(id)
    else this.#groups.set(to, new Set([id]))
  }
}
