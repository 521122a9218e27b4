/** Whether the next start of an etcd makes it the only member of its cluster, and whether that came about. */
import { CloudlessError, sleep, type Clock } from '@cloudless/base'
import type { MemberClients } from '../members.ts'
import type { InitialCluster } from './member-options.ts'
import { askStatus } from './status.ts'

const recoverMsMax = 30_000
const lookMs = 100
const askMsMax = 2_000

export class Recovery {
  readonly #clock: Clock
  readonly #member: MemberClients
  #isWanted = false

  constructor(clock: Clock, member: MemberClients) {
    this.#clock = clock
    this.#member = member
  }

  /** Asked before each start: one start is enough, and later ones must not forget who has joined since. */
  take(isFirst: boolean, initial: InitialCluster): boolean {
    const isWanted = this.#isWanted || (isFirst && initial.kind === 'recover')
    this.#isWanted = false
    return isWanted
  }

  async run(restart: (reason: string) => Promise<void>): Promise<void> {
    this.#isWanted = true
    await restart('it becomes the only member of its cluster')
    const untilMs = this.#clock.monotonicMs() + recoverMsMax
    while (!(await this.#isAlone())) {
      if (this.#clock.monotonicMs() > untilMs) {
        throw new CloudlessError(
          'unavailable',
          `etcd did not become the only member of its cluster within ${recoverMsMax / 1_000} s: see its log, and try again`,
        )
      }
      await sleep(this.#clock, lookMs)
    }
  }

  async #isAlone(): Promise<boolean> {
    if (this.#isWanted) return false
    const { signal } = new AbortController()
    const call = { timeoutMs: askMsMax, signal }
    try {
      const { leaderId, memberId } = await askStatus(this.#member, call)
      const { members } = await this.#member.cluster.memberList({}, call)
      return leaderId === memberId && members.length === 1
    } catch {
      return false // It is just being started.
    }
  }
}
