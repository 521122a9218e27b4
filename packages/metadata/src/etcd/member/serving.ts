/** Waiting until a member serves: it answers what needs a majority, or it is a learner, which answers of itself only. */
import { sleep, type Clock } from '@cloudless/base'
import type { MemberClients } from '../members.ts'
import { askStatus } from './status.ts'

const callMsMax = 1_000
const pauseMs = 50

/** Rejects only when the signal is aborted. */
export async function untilServing(
  clock: Clock,
  member: MemberClients,
  signal: AbortSignal,
): Promise<void> {
  while (!(await isServing(member, signal))) await sleep(clock, pauseMs, signal)
}

async function isServing(member: MemberClients, signal: AbortSignal): Promise<boolean> {
  const call = { timeoutMs: callMsMax, signal }
  try {
    const { isLearner } = await askStatus(member, call)
    if (!isLearner) await member.kv.range({ key: anyKey, limit: 1n, keysOnly: true }, call)
    return true
  } catch {
    return false // Not yet: whoever waits has a deadline, and knows what etcd says.
  }
}

const anyKey = Buffer.from('a')
