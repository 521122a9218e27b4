/** A register whose writes are counted: what a workload's spec and revision are together. */
import type { Model, Operation } from './operation.ts'

export type RegisterAction =
  | { readonly kind: 'read' }
  | { readonly kind: 'write'; readonly value: string }
  /** Writes only if `expected` is there. Values are never written twice, so a value stands for one version. */
  | { readonly kind: 'compare-and-set'; readonly expected: string; readonly value: string }

export interface RegisterState {
  readonly value: string
  /** Grows by one with each write. */
  readonly revision: number
}

/** Of a read, what was read; of the others that they were done. */
export type RegisterAnswer = RegisterState | 'done'

export type RegisterOperation = Operation<RegisterAction, RegisterAnswer>

export function registerModel(
  initial: RegisterState,
): Model<RegisterState, RegisterAction, RegisterAnswer> {
  return {
    initial,
    step: stepRegister,
    keyOf: ({ value, revision }) => `${value}@${revision}`,
    describe: describeOperation,
  }
}

function stepRegister(
  state: RegisterState,
  action: RegisterAction,
  answer: RegisterAnswer | undefined,
): RegisterState | undefined {
  switch (action.kind) {
    case 'read':
      return answer === undefined || isAsRead(state, answer) ? state : undefined
    case 'write':
      return { value: action.value, revision: state.revision + 1 }
    case 'compare-and-set':
      // Whether it is done is known only of one that was: it may as well have come too late.
      if (state.value !== action.expected) return answer === undefined ? state : undefined
      return { value: action.value, revision: state.revision + 1 }
  }
}

function isAsRead(state: RegisterState, answer: RegisterAnswer): boolean {
  if (answer === 'done') return false
  return answer.value === state.value && answer.revision === state.revision
}

function describeOperation({ action, returned }: RegisterOperation): string {
  switch (action.kind) {
    case 'read': {
      const answer = returned?.answer
      return typeof answer === 'object' ? `reads ${answer.value}@${answer.revision}` : 'reads'
    }
    case 'write':
      return `writes ${action.value}`
    case 'compare-and-set':
      return `writes ${action.value} over ${action.expected}`
  }
}
