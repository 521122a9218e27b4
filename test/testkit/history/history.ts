/** Writes down what clients do to several independent objects, as they do it. */
import type { Clock } from '@cloudless/base'
import type { Operation } from './operation.ts'

export interface OpenOperation<Answer> {
  done(answer: Answer): void
  /** Surely not done. Left out: if it was done all the same, nothing explains its traces. */
  refused(): void
  /** The same as never calling any of these. */
  unknown(): void
}

export interface HistoryCounts {
  readonly done: number
  readonly refused: number
  readonly unknown: number
}

export class History<Action, Answer> {
  readonly #clock: Clock
  readonly #byObject = new Map<string, Operation<Action, Answer>[]>()
  #done = 0
  #refused = 0
  #begun = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get counts(): HistoryCounts {
    const [done, refused] = [this.#done, this.#refused]
    return { done, refused, unknown: this.#begun - done - refused }
  }

  get objects(): readonly string[] {
    return [...this.#byObject.keys()]
  }

  operationsOn(object: string): readonly Operation<Action, Answer>[] {
    return this.#byObject.get(object) ?? []
  }

  begin(object: string, client: string, action: Action): OpenOperation<Answer> {
    const operations = this.#byObject.get(object) ?? []
    this.#byObject.set(object, operations)
    const calledMs = this.#clock.monotonicMs()
    const open: Operation<Action, Answer> = { client, action, calledMs }
    operations.push(open)
    this.#begun++
    return {
      done: (answer) => {
        const returned = { atMs: this.#clock.monotonicMs(), answer }
        operations[operations.indexOf(open)] = { ...open, returned }
        this.#done++
      },
      refused: () => {
        operations.splice(operations.indexOf(open), 1)
        this.#refused++
      },
      unknown: () => undefined,
    }
  }
}
