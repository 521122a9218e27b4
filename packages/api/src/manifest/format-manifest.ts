/** Workloads as manifests: what `apply` would read back as the same workload. */
import { WorkloadSpecSchema, type Workload } from '../gen/cloudless/v1/workload_pb.ts'
import { valuesOf } from './convert.ts'
import { apiVersions } from './schema.ts'

/** Plain values for a YAML or JSON writer, keys in the order people expect. Status and what the coordinator counts are
 * left out. */
export function formatManifest(workload: Workload): Record<string, unknown> {
  const { name, namespace, labels, annotations, spec } = workload
  return {
    apiVersion: apiVersions[0],
    kind: 'Workload',
    metadata: {
      name,
      ...(namespace !== '' && { namespace }),
      ...(Object.keys(labels).length > 0 && { labels }),
      ...(Object.keys(annotations).length > 0 && { annotations }),
    },
    spec:
      spec === undefined ? {} : { replicas: spec.replicas, ...valuesOf(WorkloadSpecSchema, spec) },
  }
}
