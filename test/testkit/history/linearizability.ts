/**
 * Whether a history could have come from one object that does one thing at a time: the search of Wing and Gong with Lowe's
 * memory of what was tried, as in Porcupine.
 *
 * An operation takes effect at one moment between its call and its return. The search puts operations in order, always one
 * that was called before any other that is still open returned, and goes back when an answer does not fit. Which operations
 * are in order and which state they led to is remembered: the same again leads nowhere new.
 *
 * What changes nothing and fits now is put at once, and nothing else is tried in its place: whatever order can follow, it
 * can follow then as well.
 *
 * One of unknown outcome never returns: it may be put anywhere after its call, and need not be put at all. What was surely
 * not done is no part of a history; if it was done all the same, its traces are what no operation explains.
 *
 * Objects are independent of each other, so give each history of its own.
 */
import type { Clock } from '@cloudless/base'
import { OperationSet } from './operation-set.ts'
import type { Model, Operation } from './operation.ts'

export type Verdict =
  | { readonly kind: 'linearizable' }
  /** `explanation` shows the longest order that was found and what then fitted no more. */
  | { readonly kind: 'violated'; readonly explanation: string }
  /** The search was given up: it took longer than it may. */
  | { readonly kind: 'undecided' }

export interface CheckOptions {
  readonly clock: Clock
  /** 10,000 when not given. */
  readonly checkMsMax?: number
}

const checkMsMaxDefault = 10_000
/** The clock is looked at now and then. */
const stepsPerLook = 4_096

export function checkLinearizable<State, Action, Answer>(
  model: Model<State, Action, Answer>,
  operations: readonly Operation<Action, Answer>[],
  { clock, checkMsMax = checkMsMaxDefault }: CheckOptions,
): Verdict {
  const search = new Search(model, operations)
  const untilMs = clock.monotonicMs() + checkMsMax
  for (let steps = 1; ; steps++) {
    const verdict = search.step()
    if (verdict !== undefined) return verdict
    if (steps % stepsPerLook === 0 && clock.monotonicMs() > untilMs) return { kind: 'undecided' }
  }
}

/** A call or a return, in a list ordered by time from which what is in order is taken out. */
interface Moment {
  readonly operation: number
  /** Of a call of known outcome. */
  readonly return: Moment | undefined
  readonly isCall: boolean
  before: Moment | undefined
  after: Moment | undefined
}

interface Step<State> {
  readonly call: Moment
  readonly before: State
  /** It changed nothing. */
  readonly isFree: boolean
}

class Search<State, Action, Answer> {
  readonly #model: Model<State, Action, Answer>
  readonly #operations: readonly Operation<Action, Answer>[]
  readonly #first: Moment
  readonly #order: Step<State>[] = []
  readonly #inOrder: OperationSet
  /** By the state they led to. */
  readonly #tried = new Map<string, OperationSet[]>()
  #state: State
  /** Of known outcome, not in order yet. */
  #open: number
  #at: Moment | undefined
  #longest: readonly number[] = []

  constructor(
    model: Model<State, Action, Answer>,
    operations: readonly Operation<Action, Answer>[],
  ) {
    this.#model = model
    this.#operations = operations
    this.#state = model.initial
    this.#open = operations.filter(({ returned }) => returned !== undefined).length
    this.#inOrder = new OperationSet(operations.length)
    this.#first = listOf(operations)
    this.#at = this.#first.after
    this.#putFree()
  }

  step(): Verdict | undefined {
    if (this.#open === 0) return { kind: 'linearizable' }
    const moment = this.#at
    if (moment?.isCall) {
      if (this.#putIfNew(moment)) this.#putFree()
      else this.#at = moment.after
      return undefined
    }
    return this.#goBack() ? undefined : { kind: 'violated', explanation: this.#explain() }
  }

  #putIfNew(call: Moment): boolean {
    const state = this.#after(call)
    if (state === undefined || this.#isSame(state)) return false
    this.#inOrder.add(call.operation)
    const isNew = this.#isNew(state)
    this.#inOrder.delete(call.operation)
    if (isNew) this.#put({ call, before: this.#state, isFree: false }, state)
    return isNew
  }

  #putFree(): void {
    for (let moment = this.#first.after; moment?.isCall;) {
      const state = moment.return && this.#after(moment)
      const isFree = state !== undefined && this.#isSame(state)
      if (isFree) this.#put({ call: moment, before: this.#state, isFree }, state)
      moment = isFree ? this.#first.after : moment.after
    }
  }

  #after({ operation }: Moment): State | undefined {
    const { action, returned } = this.#operations[operation]!
    return this.#model.step(this.#state, action, returned?.answer)
  }

  #isSame(state: State): boolean {
    return this.#model.keyOf(state) === this.#model.keyOf(this.#state)
  }

  #put(step: Step<State>, state: State): void {
    const { call } = step
    this.#inOrder.add(call.operation)
    this.#order.push(step)
    this.#state = state
    takeOut(call)
    if (call.return !== undefined) this.#open--
    this.#at = this.#first.after
    if (this.#order.length > this.#longest.length) {
      this.#longest = this.#order.map((put) => put.call.operation)
    }
  }

  /** Takes back the last that changed something; the next is tried in its place. */
  #goBack(): boolean {
    for (let last = this.#order.pop(); last !== undefined; last = this.#order.pop()) {
      const { call, before, isFree } = last
      this.#inOrder.delete(call.operation)
      this.#state = before
      putBack(call)
      if (call.return !== undefined) this.#open++
      this.#at = call.after
      if (!isFree) return true
    }
    return false
  }

  #isNew(state: State): boolean {
    const key = `${this.#inOrder.hash} ${this.#model.keyOf(state)}`
    const tried = this.#tried.get(key)
    if (tried === undefined) this.#tried.set(key, [this.#inOrder.copy()])
    else if (tried.some((set) => set.equals(this.#inOrder))) return false
    else tried.push(this.#inOrder.copy())
    return true
  }

  #explain(): string {
    const inOrder = new Set(this.#longest)
    const left = this.#operations
      .filter(({ returned }, n) => returned !== undefined && !inOrder.has(n))
      .toSorted((a, b) => a.returned!.atMs - b.returned!.atMs)
    const say = (operation: Operation<Action, Answer>): string => {
      const { client, calledMs, returned } = operation
      const until = returned === undefined ? 'unknown' : returned.atMs.toFixed(1)
      return `  ${calledMs.toFixed(1)}..${until} ${client}: ${this.#model.describe(operation)}`
    }
    return [
      'in an order that fits, at last:',
      ...this.#longest.slice(-shownMax).map((n) => say(this.#operations[n]!)),
      'none of these fits after them:',
      ...left.slice(0, shownMax).map(say),
    ].join('\n')
  }
}

const shownMax = 12

/** At the same instant calls come before returns: nothing says that they did not overlap. */
function listOf(operations: readonly Operation<unknown, unknown>[]): Moment {
  const moments = operations.flatMap(({ calledMs, returned }, operation) => {
    const ends: Moment[] = []
    const made = { operation, before: undefined, after: undefined }
    const end = returned && { ...made, isCall: false, return: undefined }
    if (end !== undefined) ends.push(end)
    const call: Moment = { ...made, isCall: true, return: end }
    return [
      { atMs: calledMs, moment: call },
      ...ends.map((moment) => ({ atMs: returned!.atMs, moment })),
    ]
  })
  moments.sort((a, b) => a.atMs - b.atMs || Number(b.moment.isCall) - Number(a.moment.isCall))
  const nothing = { operation: -1, return: undefined, isCall: false }
  const first: Moment = { ...nothing, before: undefined, after: undefined }
  let last = first
  for (const { moment } of moments) {
    moment.before = last
    last.after = moment
    last = moment
  }
  return first
}

function takeOut(call: Moment): void {
  for (const moment of call.return ? [call, call.return] : [call]) {
    moment.before!.after = moment.after
    if (moment.after !== undefined) moment.after.before = moment.before
  }
}

/** In the opposite order of `takeOut`, so that each finds its neighbours as it left them. */
function putBack(call: Moment): void {
  for (const moment of call.return ? [call.return, call] : [call]) {
    moment.before!.after = moment
    if (moment.after !== undefined) moment.after.before = moment
  }
}
