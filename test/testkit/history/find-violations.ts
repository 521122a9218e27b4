/** What is wrong with what clients were told, one line each; nothing when they were told the truth. */
import { systemClock } from '@cloudless/base'
import { checkLinearizable } from './linearizability.ts'
import type { Creation, Recorded } from './recorded-clients.ts'
import { registerModel } from './register-model.ts'
import { initialRegister } from './register-workload.ts'

export type Violation = {
  readonly kind: 'lost' | 'duplicated' | 'not linearizable' | 'two leaders' | 'undecided'
  readonly what: string
}

export function findViolations(
  recorded: Pick<Recorded, 'registers' | 'creations' | 'created'>,
): Violation[] {
  return [...violationsOfRegisters(recorded), ...violationsOfCreations(recorded)]
}

function violationsOfRegisters({ registers }: Pick<Recorded, 'registers'>): Violation[] {
  const model = registerModel(initialRegister)
  return registers.objects.flatMap((object): Violation[] => {
    const verdict = checkLinearizable(model, registers.operationsOn(object), { clock: systemClock })
    if (verdict.kind === 'linearizable') return []
    if (verdict.kind === 'undecided') return [{ kind: 'undecided', what: object }]
    return [{ kind: 'not linearizable', what: `${object}: ${verdict.explanation}` }]
  })
}

function violationsOfCreations({
  creations,
  created,
}: Pick<Recorded, 'creations' | 'created'>): Violation[] {
  const asked = new Map(creations.map((creation) => [creation.name, creation]))
  const unasked = [...created.keys()].filter((name) => !asked.has(name))
  return [
    ...creations.flatMap((creation) => violationsOf(creation, created.get(creation.name) ?? [])),
    ...unasked.map((name): Violation => ({ kind: 'duplicated', what: `${name}: nobody asked` })),
  ]
}

function violationsOf({ name, ids, outcome }: Creation, found: readonly string[]): Violation[] {
  const answered = [...new Set(ids)]
  const what = `${name}: answered ${answered.join(', ') || outcome}, there is ${found.join(', ') || 'none'}`
  if (found.length > 1 || answered.length > 1) return [{ kind: 'duplicated', what }]
  if (outcome === 'refused' && answered.length === 0 && found.length > 0) {
    return [{ kind: 'duplicated', what: `${name}: it was refused, and is there` }]
  }
  if (answered.length > 0 && found[0] !== answered[0]) return [{ kind: 'lost', what }]
  return []
}
