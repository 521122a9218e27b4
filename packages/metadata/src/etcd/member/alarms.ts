/** What is wrong with a member by its own word. Pure. */

export const alarmKinds = ['NOSPACE', 'CORRUPT'] as const
export type AlarmKind = (typeof alarmKinds)[number]

export interface Alarm {
  readonly kind: AlarmKind
  /** Lower-case hex. */
  readonly memberId: string
}

export interface AlarmChange extends Alarm {
  readonly change: 'raised' | 'cleared'
}

/** Of the "errors" of a status, which has them as "memberID:10276657743932975437 alarm:NOSPACE ". */
export function parseAlarms(errors: readonly string[]): readonly Alarm[] {
  return errors.flatMap((text) => {
    const [, decimal, kind] = /memberID:(\d+)\s+alarm:(NOSPACE|CORRUPT)/.exec(text) ?? []
    if (decimal === undefined) return []
    return [{ kind: kind as AlarmKind, memberId: BigInt(decimal).toString(16) }]
  })
}

export function changesOfAlarms(before: readonly Alarm[], now: readonly Alarm[]): AlarmChange[] {
  const raised = now.filter((alarm) => !includes(before, alarm))
  const cleared = before.filter((alarm) => !includes(now, alarm))
  return [
    ...raised.map((alarm) => ({ ...alarm, change: 'raised' }) as const),
    ...cleared.map((alarm) => ({ ...alarm, change: 'cleared' }) as const),
  ]
}

function includes(alarms: readonly Alarm[], { kind, memberId }: Alarm): boolean {
  return alarms.some((alarm) => alarm.kind === kind && alarm.memberId === memberId)
}
