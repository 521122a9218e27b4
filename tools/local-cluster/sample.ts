/** The sample workload of the local cluster: applied where it is missing, and left as it is where it is not. */
import { join } from 'node:path'
import { checkout, waitFor, type Ctl } from '@cloudless/test/testkit'
import { sampleManifest, sampleWorkload, type WorkloadView } from './cluster.ts'

const firstDeadlineMs = 60_000
const laterDeadlineMs = 20_000

/**
 * Resolves with how many replicas are ready. One that was there already is the user's by now: what they scaled it to
 * stays, and if what they made of it never gets ready that is said, and is no failure of ours.
 */
export async function applySample(ctl: Ctl): Promise<string> {
  const wasThere = (await findSample(ctl)) !== undefined
  if (!wasThere) await ctl.text(['apply', '-f', join(checkout, sampleManifest)])
  try {
    await waitFor(async () => isReady(await findSample(ctl)), {
      what: `the replicas of ${sampleWorkload} to be ready`,
      deadlineMs: wasThere ? laterDeadlineMs : firstDeadlineMs,
      pollMs: wasThere ? 500 : 100,
      describe: async () =>
        `${(await ctl.run(['workload', 'describe', sampleWorkload])).stdout}\n` +
        'Look closer: bin/cloudlessctl events',
    })
  } catch (reason) {
    if (!wasThere) throw reason
  }
  const sample = await findSample(ctl)
  const { readyReplicas = 0, desiredReplicas = 0, message = '' } = sample?.status ?? {}
  if (isReady(sample)) return `${readyReplicas} replicas ready`
  return message || `${readyReplicas} of ${desiredReplicas} replicas ready`
}

async function findSample(ctl: Ctl): Promise<WorkloadView | undefined> {
  const workloads = await ctl.items<WorkloadView>(['workload', 'list'])
  return workloads.find(({ name }) => name === sampleWorkload)
}

function isReady(workload: WorkloadView | undefined): boolean {
  const { desiredReplicas, readyReplicas, updatedReplicas } = workload?.status ?? {}
  return desiredReplicas === readyReplicas && desiredReplicas === updatedReplicas
}
