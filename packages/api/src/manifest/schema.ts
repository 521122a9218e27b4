/**
 * The shape of a manifest: the single source of what keys there are, what they may hold and what the published JSON Schema
 * says. Keys are the proto's field names, in snake_case; durations lose their "_ms".
 *
 * Only shapes are said here. Rules that need more than one field are validateWorkload's.
 */
import { z } from 'zod'

/** Limits of one file, so that reading it takes bounded time and memory. */
export const manifestLimits = {
  documentBytesMax: 1_048_576,
  fileBytesMax: 8_388_608,
  documentsMax: 1_000,
  nestingMax: 64,
  /** Values of one document, aliases counted each time they are used. */
  valuesMax: 100_000,
} as const

export const apiVersions = ['cloudless/v1', 'cloudless.io/v1'] as const

const text = z.string()
const texts = z.array(text)
const textMap = z.record(text, text)
const flag = z.boolean()
const int32Max = 2 ** 31 - 1
const count = z.int().min(0).max(int32Max)
const integer = z.int().min(-int32Max).max(int32Max)
const port = z.int().min(0).max(65_535)

const duration = z
  .union([z.int().min(0), z.string().regex(/^(0|(\d+(\.\d+)?(ms|s|m|h|d|w))+)$/)], {
    error: 'must be a duration such as "30s" or "1h30m", or a number of milliseconds',
  })
  .describe('A duration such as "30s" or "1h30m", or a number of milliseconds')

const size = z
  .union([z.int().min(0), z.string().regex(/^\d+(\.\d+)?\s*([KMGT]i|[kKMGT]|)B?$/)], {
    error: 'must be a size such as "512Mi" or "2Gi", or a number of bytes',
  })
  .describe('A size such as "512Mi" or "2Gi", or a number of bytes')

const bandwidth = z
  .union([z.int().min(0), z.string().regex(/^\d+(\.\d+)?\s*([kKMGT]|)$/)], {
    error: 'must be a bandwidth such as "100M", or a number of bits per second',
  })
  .describe('A bandwidth such as "100M", or a number of bits per second')

const cpu = z
  .union([z.number().positive().max(1e6), z.string().regex(/^(\d{1,9}m|\d{1,6}(\.\d{1,9})?)$/)], {
    error: 'must be a number of cores such as 0.5 or "500m"',
  })
  .describe('Cores: 0.5, "0.5" and "500m" are half a core')

const cpuMillicores = z
  .union([z.int().min(1).max(int32Max), z.string().regex(/^\d{1,9}m?$/)], {
    error: 'must be a number of thousandths of a core from 1, such as 500 or "500m"',
  })
  .describe('Thousandths of a core: 500 and "500m" are half a core')

const mode = z
  .union([z.int().min(0).max(0o777), z.string().regex(/^(0o?)?[0-7]{3}$/)], {
    error: 'must be a file mode such as 0400',
  })
  .describe('A Unix file mode such as 0400')

/** Takes the proto's spelling and that of Kubernetes: ON_FAILURE and OnFailure. */
function choice(...names: readonly string[]): z.ZodType<string> {
  const pascal = names.map((name) =>
    name.toLowerCase().replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase()),
  )
  return z.enum([...names, ...pascal], { error: `must be ${names.join(', ')}` })
}

const capacity = z.strictObject({
  cpu_millicores: cpuMillicores,
  cpu,
  memory_bytes: size,
  memory: size,
  storage_bytes: size,
  storage: size,
  bandwidth_bps: bandwidth,
  gpu_count: count,
  iops_class: text,
  gpu_models: texts,
})

const requirement = z.strictObject({ key: text, operator: text, values: texts })

const affinity = z.strictObject({
  type: choice('NODE', 'WORKLOAD'),
  match_labels: textMap,
  topology_key: text,
  required: flag,
  weight: count,
})

const toleration = z.strictObject({ key: text, value: text, operator: text, effect: text })

const topologySpread = z.strictObject({
  topology_key: text.describe('"node", "zone", "region" or a label of nodes'),
  max_skew: count.describe('1 when absent'),
  min_domains: count,
  required: flag,
  match_labels: textMap.describe('Which replicas are counted; those of this workload when absent'),
})

const weight = z.number().min(0)

const scoreWeights = z
  .strictObject({
    locality: weight,
    reliability: weight,
    cost: weight,
    utilization: weight,
    network_penalty: weight,
  })
  .partial()
  .describe('Only their proportions matter; what is absent counts for nothing')

const placement = z.strictObject({
  regions: texts,
  zones: texts,
  node_selector: textMap,
  affinity: z.array(affinity.partial()),
  anti_affinity: z.array(affinity.partial()),
  tolerations: z.array(toleration.partial()),
  spread_topology: text.describe('"zone", "region", "node" or "none"; the cluster\'s when absent'),
  node_requirements: z.array(requirement.partial()),
  packing: text.describe('"binpack", "best_fit" or "spread"; the cluster\'s when absent'),
  topology_spread: z.array(topologySpread.partial()),
  score_weights: scoreWeights,
})

const restartPolicy = z.strictObject({
  policy: choice('ALWAYS', 'ON_FAILURE', 'NEVER'),
  max_retries: count,
  backoff: duration,
})

const canary = z.strictObject({
  replicas: count,
  percent: count.describe('10 when neither is given'),
  bake: duration.describe('The rest follows by itself after this; only when promoted when absent'),
})

const rollout = z.strictObject({
  strategy: choice('ROLLING_UPDATE', 'RECREATE', 'BLUE_GREEN', 'CANARY'),
  max_surge: count,
  max_unavailable: count,
  min_available: count,
  pause_duration: duration,
  canary: canary.partial(),
  progress_deadline: duration.describe('10m when absent'),
  auto_rollback: flag.describe('true when absent'),
  min_ready: duration,
  history_limit: count,
})

const job = z.strictObject({
  parallelism: count.describe('1 when absent'),
  completions: count.describe('1 when absent'),
  retries: count.describe('6 when absent'),
  deadline: duration,
  ttl_after_finished: duration,
})

const cron = z.strictObject({
  schedule: text.describe(
    'Minute, hour, day of month, month, day of week; or "@daily" and the like',
  ),
  time_zone: text.describe('Such as "Europe/Berlin"; UTC when absent'),
  concurrency_policy: text.describe('"Allow" when absent, "Forbid" or "Replace"'),
  starting_deadline: duration,
  suspend: flag,
  successful_history: count,
  failed_history: count,
})

const autoscalingMetric = z.strictObject({
  type: text.describe('"cpu", "memory" or "custom"'),
  target_percent: count,
  name: text,
  target_value: z.number(),
})

const autoscaling = z.strictObject({
  min_replicas: count.describe('1 when absent'),
  max_replicas: count,
  metrics: z.array(autoscalingMetric.partial()),
  scale_up_stabilization: duration,
  scale_down_stabilization: duration.describe('5m when absent'),
})

const metricsEndpoint = z.strictObject({ port, path: text, names: texts })

const rebalance = z.strictObject({
  enabled: flag,
  max_moving: count.describe('1 when absent'),
  interval: duration.describe('30s when absent'),
})

const onDisconnect = z.strictObject({
  replace_after: duration.describe('At once when absent'),
  keep: flag,
  stop_after: duration,
  on_return: text.describe(
    '"original" when absent, "replacement", "best_placed" or "longest_running"',
  ),
})

const volume = z.strictObject({
  name: text,
  source: text.describe('"emptyDir", "hostPath", "configMap" or "secret"'),
  mount_path: text,
  read_only: flag,
  options: textMap,
})

const containerPort = z.strictObject({
  name: text,
  container_port: port,
  host_port: port,
  protocol: text.describe('"TCP" or "UDP"'),
})

const probe = z.strictObject({
  exec: z.strictObject({ command: texts }).partial(),
  http: z
    .strictObject({
      path: text,
      port,
      scheme: text,
      headers: z.array(z.strictObject({ name: text, value: text }).partial()),
    })
    .partial(),
  tcp: z.strictObject({ port }).partial(),
  initial_delay: duration,
  period: duration,
  timeout: duration,
  success_threshold: count,
  failure_threshold: count,
})

const profile = z.strictObject({
  type: choice('UNCONFINED', 'RUNTIME_DEFAULT', 'LOCALHOST'),
  localhost_profile: text,
})

const seLinux = z.strictObject({ user: text, role: text, type: text, level: text })

const linux = z.strictObject({
  seccomp_profile: profile.partial(),
  apparmor_profile: profile.partial(),
  selinux_options: seLinux.partial(),
  supplemental_groups: z.array(count),
  fs_group: count,
  sysctls: textMap,
})

const securityContext = z.strictObject({
  linux: linux.partial(),
  privileged: flag,
  host_network: flag,
  host_pid: flag,
  host_ipc: flag,
  run_as_user: count,
  run_as_group: count,
  run_as_non_root: flag,
  read_only_root_filesystem: flag,
  capabilities_add: texts,
  capabilities_drop: texts,
  runtime_class_name: text,
})

const secretEnv = z.strictObject({
  secret_name: text,
  namespace: text,
  audience: text,
  key_to_env: textMap,
})

const secretVolume = z.strictObject({
  secret_name: text,
  namespace: text,
  audience: text,
  mount_path: text,
  key_to_file: textMap,
  mode,
})

const resources = z.strictObject({
  requests: capacity.partial(),
  limits: capacity.partial(),
  pids_limit: count,
})

const spec = z.strictObject({
  image: text,
  command: texts.optional(),
  args: texts.optional(),
  env: textMap.optional(),
  resources: resources.partial().optional(),
  replicas: count.describe('1 when absent').optional(),
  placement: placement.partial().optional(),
  restart_policy: restartPolicy.partial().optional(),
  rollout: rollout.partial().optional(),
  volumes: z.array(volume.partial()).optional(),
  ports: z.array(containerPort.partial()).optional(),
  liveness_probe: probe.partial().optional(),
  readiness_probe: probe.partial().optional(),
  startup_probe: probe.partial().optional(),
  image_pull_secrets: texts.optional(),
  security_context: securityContext.partial().optional(),
  secret_env: z.array(secretEnv.partial()).optional(),
  secret_volumes: z.array(secretVolume.partial()).optional(),
  image_pull_policy: choice('ALWAYS', 'IF_NOT_PRESENT', 'NEVER').optional(),
  working_dir: text.optional(),
  termination_grace: duration.optional(),
  priority: integer.optional(),
  type: choice('SERVICE', 'DAEMON', 'JOB', 'CRON').describe('SERVICE when absent').optional(),
  job: job.partial().optional(),
  cron: cron.partial().optional(),
  autoscaling: autoscaling.partial().optional(),
  rebalance: rebalance.partial().optional(),
  on_disconnect: onDisconnect.partial().optional(),
  shutdown_delay: duration.describe('1s when absent for workloads with ports').optional(),
  metrics: metricsEndpoint.partial().optional(),
})

const metadata = z.strictObject({
  name: text,
  namespace: text.describe('"default" when absent').optional(),
  labels: textMap.optional(),
  annotations: textMap.optional(),
})

/** One document. `api_version` is `apiVersion` in files: the one key whose camelCase is its usual form. */
export const manifestSchema = z.strictObject({
  api_version: z.enum(apiVersions, { error: `must be ${apiVersions.join(' or ')}` }),
  kind: z.literal('Workload', { error: 'must be Workload' }),
  metadata,
  spec,
})

export type Manifest = z.infer<typeof manifestSchema>

/** JSON Schema (2020-12) of one document, for editors and other tools. Keys are in snake_case; camelCase is read as well. */
export function manifestJsonSchema(): Readonly<Record<string, unknown>> {
  const published = z.strictObject({
    apiVersion: manifestSchema.shape.api_version,
    kind: manifestSchema.shape.kind,
    metadata,
    spec,
  })
  return {
    ...z.toJSONSchema(published, { reused: 'ref' }),
    title: 'Cloudless workload manifest',
  }
}
