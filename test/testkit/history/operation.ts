/** What clients did and were told: the history that a checker judges. Times are of one monotonic clock. */

export interface Operation<Action, Answer> {
  readonly client: string
  readonly action: Action
  readonly calledMs: number
  /** Missing when it is not known whether it was done: it may be done at any time after the call, or never. */
  readonly returned?: { readonly atMs: number; readonly answer: Answer }
}

/** How one object behaves when a single client uses it. */
export interface Model<State, Action, Answer> {
  readonly initial: State
  /** The state afterwards; undefined when this answer cannot be given in this state. No answer: it is not known. */
  step(state: State, action: Action, answer: Answer | undefined): State | undefined
  /** Equal for equal states only. */
  keyOf(state: State): string
  describe(operation: Operation<Action, Answer>): string
}
