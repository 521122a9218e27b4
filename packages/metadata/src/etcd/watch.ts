/**
 * Watching etcd: one stream at one member, and when that is gone the same at another from where it was.
 *
 * Of etcd: changes of one revision come in one response; a response without events that is not the first tells how far the
 * watch has seen; a member that has lost its leader ends a watch that asks for one.
 */
import type { MessageInitShape } from '@bufbuild/protobuf'
import { CloudlessError, onAbort, sleep, type Clock } from '@cloudless/base'
import {
  type WatchRequestSchema,
  type WatchResponse,
} from '../gen/etcd/etcdserver/etcdserverpb/rpc_pb.ts'
import { Event_EventType, type Event } from '../gen/etcd/mvcc/mvccpb/kv_pb.ts'
import type { Change, ChangeBatch } from '../store.ts'
import { explainFailure, isPassing } from './failure.ts'
import { requireLeader, type MemberClients, type Members } from './members.ts'
import { entryOf, keyOfBytes, rangeOf } from './transaction.ts'

type WatchRequest = MessageInitShape<typeof WatchRequestSchema>

const pauseMs = 100

/** Ends without an error when the signal is aborted. `failed_precondition` when what is asked for has been compacted. */
export async function* watchMembers(
  { members, clock }: { readonly members: Members; readonly clock: Clock },
  prefix: string,
  { fromRevision, signal }: { readonly fromRevision: number; readonly signal: AbortSignal },
): AsyncGenerator<ChangeBatch, undefined> {
  let seen = fromRevision
  while (!signal.aborted) {
    const member = members.current
    try {
      for await (const response of responsesOf(member, prefix, seen + 1, signal)) {
        refuseIfCompacted(response, prefix, seen)
        const { events, created, header } = response
        if (events.length === 0) {
          if (!created) seen = Math.max(seen, Number(header!.revision))
          continue
        }
        const batch = batchOf(events)
        seen = batch.revision
        yield batch
      }
    } catch (reason) {
      if (signal.aborted) return undefined
      if (reason instanceof CloudlessError || !isPassing(reason)) {
        throw explainFailure(reason, { attempt: 'watching', members: members.addresses })
      }
    }
    members.givesWay(member)
    await sleep(clock, pauseMs, signal).catch(() => undefined) // The loop looks at the signal.
  }
  return undefined
}

/** The history before it is gone, as a watch from the beginning is told; 0: all of it is there. */
export async function compactedRevisionOf(
  member: MemberClients,
  signal: AbortSignal,
): Promise<number> {
  for await (const { compactRevision, canceled, created } of responsesOf(member, '', 1, signal)) {
    if (canceled) return Number(compactRevision)
    if (!created) return 0
  }
  return 0
}

async function* responsesOf(
  member: MemberClients,
  prefix: string,
  startRevision: number,
  signal: AbortSignal,
): AsyncGenerator<WatchResponse, undefined> {
  // The stream of requests stays open for as long as the watch: its end is taken for the watch's.
  const over = Promise.withResolvers<void>()
  async function* requests(): AsyncGenerator<WatchRequest> {
    const value = {
      ...rangeOf(prefix),
      ...{ startRevision: BigInt(startRevision), progressNotify: true },
    }
    yield { requestUnion: { case: 'createRequest', value } }
    await over.promise
  }
  const ending = new AbortController()
  const forget = onAbort(signal, () => ending.abort())
  try {
    yield* member.watch.watch(requests(), { signal: ending.signal, headers: requireLeader })
  } finally {
    forget()
    over.resolve()
    ending.abort()
  }
  return undefined
}

function refuseIfCompacted(response: WatchResponse, prefix: string, seen: number): void {
  if (!response.canceled) return
  if (response.compactRevision > 0n) {
    throw new CloudlessError(
      'failed_precondition',
      `the changes under "${prefix}" after revision ${seen} are gone: history begins at ` +
        `${response.compactRevision}; list again and watch from there`,
    )
  }
  throw new CloudlessError('internal', `etcd ended a watch: ${response.cancelReason}`)
}

function batchOf(events: readonly Event[]): ChangeBatch {
  const changes = events.map(changeOf)
  return { changes, revision: Number(events.at(-1)!.kv!.modRevision) }
}

function changeOf({ type, kv }: Event): Change {
  if (type === Event_EventType.DELETE) {
    return { kind: 'delete', key: keyOfBytes(kv!.key), modRevision: Number(kv!.modRevision) }
  }
  return { kind: 'put', entry: entryOf(kv!) }
}
