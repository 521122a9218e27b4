/** Runs asynchronous tasks one after another, keyed: tasks of different keys run side by side. */
export class KeyedSerialQueue {
  readonly #tails = new Map<string, Promise<void>>()

  /** Resolves with the task's result once every task given earlier for `key` has ended. */
  run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const previous = this.#tails.get(key) ?? Promise.resolve()
    const result = previous.then(task)
    const tail = result.then(
      () => undefined,
      () => undefined, // The caller of run has the error; the queue goes on.
    )
    this.#tails.set(key, tail)
    void tail.then(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key)
    })
    return result
  }

  /** Resolves when everything given so far has ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#tails.values())
  }
}

/** At most `limit` tasks run at once; the rest wait in order. */
export class Semaphore {
  readonly #limit: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#limit) await new Promise<void>((go) => this.#waiting.push(go))
    else this.#running++
    try {
      return await task()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }
}
