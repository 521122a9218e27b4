import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create } from '@bufbuild/protobuf'
import {
  ApplyOutcome,
  ApplyWorkloadRequestSchema,
  AutoscalingStatusSchema,
  GetWorkloadRequestSchema,
  ScaleRecommendationSchema,
  ScaleWorkloadRequestSchema,
  UpdateWorkloadRequestSchema,
  WorkloadSchema,
  type AutoscalingStatus,
  type Workload,
} from '@cloudless/api'
import { systemClock } from '@cloudless/base'
import { enumName } from '../state/enum-names.ts'
import { openCluster } from '../testing/cluster.ts'
import { withReplicasKept } from './autoscaled-replicas.ts'
import { workloadHandlers } from './workload-handlers.ts'

const id = 'default-web'
const metrics = [{ type: 'cpu', targetPercent: 50 }]
const limits = { minReplicas: 2, maxReplicas: 10, metrics }

interface Asked {
  readonly replicas: number
  readonly autoscaling?: typeof limits
  readonly image?: string
}

function web({ replicas, autoscaling, image = 'nginx:1' }: Asked): Workload {
  const resources = { requests: { cpuMillicores: 100 } }
  const spec = { image, replicas, resources, ...(autoscaling && { autoscaling }) }
  return create(WorkloadSchema, { name: 'web', spec })
}

async function openHandlers(t: TestContext) {
  const { state, put } = await openCluster(t)
  const live: { status?: AutoscalingStatus } = {}
  const handlers = workloadHandlers({
    state,
    clock: systemClock,
    admit: () => undefined,
    onChanged: () => undefined,
    autoscalingOf: () => live.status,
  })
  return {
    live,
    record: () => state.get('workload', id)!,
    async apply(asked: Asked, dryRun = false): Promise<[string, number]> {
      const workload = web(asked)
      const request = create(ApplyWorkloadRequestSchema, { workload, dryRun })
      const { outcome, workload: stored } = await handlers.applyWorkload(request)
      return [enumName(ApplyOutcome, outcome), stored!.spec!.replicas]
    },
    async update(asked: Asked): Promise<number> {
      const request = create(UpdateWorkloadRequestSchema, { workload: web(asked) })
      return (await handlers.updateWorkload(request)).spec!.replicas
    },
    scale: (replicas: number) =>
      handlers.scaleWorkload(create(ScaleWorkloadRequestSchema, { workloadId: 'web', replicas })),
    get: () => handlers.getWorkload(create(GetWorkloadRequestSchema, { workloadId: 'web' })),
    /** As the autoscaler does. */
    async autoscale(replicas: number): Promise<void> {
      const record = state.get('workload', id)!
      const spec = { ...record.workload!.spec!, replicas }
      const autoscaling = create(AutoscalingStatusSchema, { recommended: replicas })
      const recommendations = [create(ScaleRecommendationSchema, { atMs: 1n, replicas })]
      const workload = { ...record.workload!, spec }
      await put('workload', { [id]: { ...record, workload, autoscaling, recommendations } })
    },
  }
}

test('a manifest says with how many replicas it begins, within its limits', async (t) => {
  const { apply } = await openHandlers(t)
  assert.deepEqual(await apply({ replicas: 1, autoscaling: limits }), ['CREATED', 2])
})

test('applying a manifest again keeps the number that the autoscaler chose', async (t) => {
  const { apply, autoscale, update } = await openHandlers(t)
  const asked = { replicas: 3, autoscaling: limits }
  await apply(asked)
  await autoscale(7)
  assert.deepEqual(await apply(asked, true), ['UNCHANGED', 7])
  assert.deepEqual(await apply(asked), ['UNCHANGED', 7])
  assert.deepEqual(await apply({ ...asked, image: 'nginx:2' }, true), ['CONFIGURED', 7])
  assert.deepEqual(await apply({ ...asked, image: 'nginx:2' }), ['CONFIGURED', 7])
  assert.equal(await update({ ...asked, replicas: 9 }), 7)
})

test('new limits bring the number within them at once', async (t) => {
  const { apply, autoscale } = await openHandlers(t)
  await apply({ replicas: 3, autoscaling: limits })
  await autoscale(7)
  const fewer = { ...limits, maxReplicas: 5 }
  assert.deepEqual(await apply({ replicas: 3, autoscaling: fewer }), ['CONFIGURED', 5])
  const more = { ...limits, minReplicas: 6 }
  assert.deepEqual(await apply({ replicas: 3, autoscaling: more }), ['CONFIGURED', 6])
})

test('keeping more available brings the number up to it at once', () => {
  const before = web({ replicas: 3, autoscaling: limits })
  const after = create(WorkloadSchema, {
    spec: { ...before.spec!, rollout: { minAvailable: 5 } },
  } as never)
  assert.equal(withReplicasKept(before, after).spec!.replicas, 5)
})

test('asking for autoscaling keeps the replicas there are', async (t) => {
  const { apply, record } = await openHandlers(t)
  await apply({ replicas: 6 })
  assert.deepEqual(await apply({ replicas: 1, autoscaling: limits }), ['CONFIGURED', 6])
  assert.equal(record().workload!.revision, 1n)
})

test('without autoscaling the number asked for counts again, and nothing of it is left', async (t) => {
  const { apply, autoscale, record, get } = await openHandlers(t)
  await apply({ replicas: 3, autoscaling: limits })
  await autoscale(7)
  assert.equal(get().status!.autoscaling!.recommended, 7)
  assert.deepEqual(await apply({ replicas: 4 }), ['CONFIGURED', 4])
  assert.equal(record().autoscaling, undefined)
  assert.deepEqual(record().recommendations, [])
  assert.equal(get().status!.autoscaling, undefined)
})

test('scaling by hand is refused with what to do instead', async (t) => {
  const { apply, scale } = await openHandlers(t)
  await apply({ replicas: 3, autoscaling: limits })
  await assert.rejects(scale(5), {
    code: 'failed_precondition',
    message:
      /"web" is autoscaled between 2 and 10 replicas: .*workload autoscale web --min N --max N\).*--off/,
  })
})

test('what the autoscaler knows now is shown in place of what is on record', async (t) => {
  const { apply, autoscale, get, live } = await openHandlers(t)
  await apply({ replicas: 3, autoscaling: limits })
  await autoscale(7)
  live.status = create(AutoscalingStatusSchema, { recommended: 8, message: 'just now' })
  assert.equal(get().status!.autoscaling!.message, 'just now')
})
