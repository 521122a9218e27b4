/**
 * When an update needs new containers.
 *
 * A spec's template is what a running replica depends on: everything but the number of replicas, how that is chosen, and
 * how they are replaced and moved.
 * Two specs with the same template are the same revision.
 */
import { clone, equals } from '@bufbuild/protobuf'
import { WorkloadSpecSchema, type WorkloadSpec } from '../gen/cloudless/v1/workload_pb.ts'
import { normaliseImage } from '../image-reference.ts'
import { defaultWorkloadSpec } from './default-workload.ts'

const notOfTemplate = ['rollout', 'job', 'cron', 'autoscaling', 'rebalance'] as const

/** A copy with the defaults filled in, without what only the controllers look at. */
export function podTemplateOf(spec: WorkloadSpec): WorkloadSpec {
  const template = clone(WorkloadSpecSchema, defaultWorkloadSpec(spec))
  template.image = normaliseImage(template.image)
  template.replicas = 0
  for (const field of notOfTemplate) delete template[field]
  return template
}

/** Whether replicas of the one spec may go on under the other. Says yes to what is only written differently. */
export function sameTemplate(one: WorkloadSpec, other: WorkloadSpec): boolean {
  return equals(WorkloadSpecSchema, podTemplateOf(one), podTemplateOf(other))
}
