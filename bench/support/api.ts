/** Workloads as they change, for timing without a CLI in between. */
import type { ReplicaStatus, Workload } from '@cloudless/api'
import type { ApiClient } from '@cloudless/test/testkit'

/** Resolves when the workload first looks as wanted; rejects after `deadlineMs`. */
export async function whenWorkload(
  client: ApiClient,
  name: string,
  deadlineMs: number,
  isAsWanted: (workload: Workload, replicas: readonly ReplicaStatus[]) => boolean,
): Promise<void> {
  const signal = AbortSignal.timeout(deadlineMs)
  for await (const { workload } of client.watchWorkloads({ workloadId: name }, { signal })) {
    if (workload && isAsWanted(workload, workload.status?.replicas ?? [])) return
  }
  throw new Error(`workload ${name} did not become as wanted within ${deadlineMs} ms`)
}
