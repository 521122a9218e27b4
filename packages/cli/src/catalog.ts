/**
 * Every verb, with the file that holds it. Only the verb that is asked for is loaded: the table is what makes
 * `cloudlessctl` start quickly, and what help, completion and the reference are made from.
 */
import type { Command } from './command.ts'

export interface Group {
  /** "node"; "workload rollout" is a group within the group "workload". */
  readonly name: string
  /** Other words that mean it. */
  readonly aliases: readonly string[]
  readonly summary: string
  /** The verb that is meant by the group's name alone. */
  readonly byDefault?: string
}

export interface Entry {
  /** "node list", "workload rollout status", or one word for a verb of its own. */
  readonly name: string
  /** Other words for the last word of the name. */
  readonly aliases?: readonly string[]
  readonly summary: string
  readonly hidden?: true
  load(): Promise<Command>
}

export const groups: readonly Group[] = [
  { name: 'node', aliases: ['nodes', 'no'], summary: 'Devices that have joined' },
  { name: 'workload', aliases: ['workloads', 'wl'], summary: 'What should run' },
  {
    name: 'workload rollout',
    aliases: ['rollout'],
    summary: 'How the replicas of a workload are replaced by those of another revision',
  },
  { name: 'token', aliases: ['tokens'], summary: 'Join tokens, with which devices enrol' },
  { name: 'cluster', aliases: [], summary: 'The cluster as a whole' },
  {
    name: 'vrn',
    aliases: ['pool'],
    summary: 'The virtual resource network: what all nodes have together',
    byDefault: 'show',
  },
  { name: 'scheduler', aliases: [], summary: 'How nodes are chosen for replicas' },
  { name: 'simulate', aliases: [], summary: 'What would happen if nodes were drained or lost' },
  { name: 'container', aliases: ['containers'], summary: 'Containers of one node' },
  { name: 'image', aliases: ['images'], summary: 'Images of one node' },
  { name: 'config', aliases: [], summary: 'Contexts of this command' },
]

export const entries: readonly Entry[] = [
  {
    name: 'apply',
    summary: 'Create or update what manifests describe',
    load: async () => (await import('./commands/apply.ts')).apply,
  },
  {
    name: 'delete',
    summary: 'Delete what manifests describe',
    load: async () => (await import('./commands/delete.ts')).deleteManifests,
  },
  {
    name: 'events',
    aliases: ['event'],
    summary: 'What was decided: membership, scheduling, security',
    load: async () => (await import('./commands/events.ts')).events,
  },
  {
    name: 'schema',
    summary: 'Print the JSON Schema of manifests',
    load: async () => (await import('./commands/schema.ts')).schema,
  },
  {
    name: 'version',
    summary: 'Versions of this command and of the coordinator',
    load: async () => (await import('./commands/version.ts')).versionCommand,
  },
  {
    name: 'completion',
    summary: 'Print the completion script of a shell',
    load: async () => (await import('./commands/completion.ts')).completion,
  },
  {
    name: '__complete',
    summary: 'Print what could follow',
    hidden: true,
    load: async () => (await import('./commands/complete.ts')).complete,
  },
  {
    name: 'node list',
    aliases: ['ls'],
    summary: 'List nodes',
    load: async () => (await import('./commands/node-list.ts')).nodeList,
  },
  {
    name: 'node get',
    summary: 'Show one node',
    load: async () => (await import('./commands/node-get.ts')).nodeGet,
  },
  {
    name: 'node describe',
    summary: 'Explain one node: capacity, use, conditions, replicas, events',
    load: async () => (await import('./commands/node-describe.ts')).nodeDescribe,
  },
  {
    name: 'node drain',
    summary: 'Move all replicas off a node and keep new ones away',
    load: async () => (await import('./commands/node-drain.ts')).nodeDrain,
  },
  {
    name: 'node cordon',
    summary: 'Keep new replicas away from a node',
    load: async () => (await import('./commands/node-cordon.ts')).nodeCordon,
  },
  {
    name: 'node uncordon',
    summary: 'End a cordon or a drain',
    load: async () => (await import('./commands/node-cordon.ts')).nodeUncordon,
  },
  {
    name: 'node remove',
    aliases: ['delete', 'rm'],
    summary: "End a node's membership",
    load: async () => (await import('./commands/node-remove.ts')).nodeRemove,
  },
  {
    name: 'node label',
    summary: 'Set and remove labels of a node',
    load: async () => (await import('./commands/node-label.ts')).nodeLabel,
  },
  {
    name: 'node taint',
    summary: 'Set and remove taints of a node',
    load: async () => (await import('./commands/node-taint.ts')).nodeTaint,
  },
  {
    name: 'workload list',
    aliases: ['ls'],
    summary: 'List workloads',
    load: async () => (await import('./commands/workload-list.ts')).workloadList,
  },
  {
    name: 'workload get',
    summary: 'Show one workload',
    load: async () => (await import('./commands/workload-get.ts')).workloadGet,
  },
  {
    name: 'workload describe',
    summary: 'Explain one workload: spec, replicas, why they wait, events',
    load: async () => (await import('./commands/workload-describe.ts')).workloadDescribe,
  },
  {
    name: 'workload status',
    summary: 'Show how far a workload is, and wait for it',
    load: async () => (await import('./commands/workload-status.ts')).workloadStatusCommand,
  },
  {
    name: 'workload explain',
    aliases: ['why'],
    summary: 'Explain why each replica is where it is, or where it would go',
    load: async () => (await import('./commands/workload-explain.ts')).workloadExplain,
  },
  {
    name: 'workload replicas',
    summary: 'List replicas with their nodes and addresses',
    load: async () => (await import('./commands/workload-replicas.ts')).workloadReplicas,
  },
  {
    name: 'workload create',
    summary: 'Create a workload from flags or a manifest',
    load: async () => (await import('./commands/workload-create.ts')).workloadCreate,
  },
  {
    name: 'workload update',
    summary: 'Change the spec of a workload',
    load: async () => (await import('./commands/workload-update.ts')).workloadUpdate,
  },
  {
    name: 'workload scale',
    summary: 'Change the number of replicas',
    load: async () => (await import('./commands/workload-scale.ts')).workloadScale,
  },
  {
    name: 'workload autoscale',
    summary: 'Let the number of replicas follow what they use',
    load: async () => (await import('./commands/workload-autoscale.ts')).workloadAutoscale,
  },
  {
    name: 'workload restart',
    summary: 'Replace every replica by a new one',
    load: async () => (await import('./commands/workload-restart.ts')).workloadRestart,
  },
  ...(
    [
      ['status', 'Show how far a rollout is, and wait for its end'],
      ['history', 'List the revisions that are remembered'],
      ['pause', 'Replace nothing further until it is resumed'],
      ['resume', 'Let a paused rollout go on, or try one that failed again'],
      ['promote', 'Let the rest follow the canaries'],
      ['undo', 'Go back to an earlier revision'],
    ] as const
  ).map(([word, summary]) => ({
    name: `workload rollout ${word}`,
    summary,
    load: async () => (await import('./commands/workload-rollout.ts')).rolloutCommands[word],
  })),
  {
    name: 'workload run',
    summary: 'Start a run of a cron now',
    load: async () => (await import('./commands/workload-run.ts')).workloadRun,
  },
  {
    name: 'workload suspend',
    summary: 'Start no further runs of a cron',
    load: async () => (await import('./commands/workload-suspend.ts')).workloadSuspend,
  },
  {
    name: 'workload unsuspend',
    summary: 'Start the runs of a cron again',
    load: async () => (await import('./commands/workload-suspend.ts')).workloadUnsuspend,
  },
  {
    name: 'workload delete',
    aliases: ['rm'],
    summary: 'Delete workloads',
    load: async () => (await import('./commands/workload-delete.ts')).workloadDelete,
  },
  {
    name: 'workload logs',
    aliases: ['log'],
    summary: 'Print what replicas wrote',
    load: async () => (await import('./commands/workload-logs.ts')).workloadLogs,
  },
  {
    name: 'workload exec',
    summary: 'Run a command in a replica',
    load: async () => (await import('./commands/workload-exec.ts')).workloadExec,
  },
  {
    name: 'token create',
    summary: 'Make a join token',
    load: async () => (await import('./commands/token-create.ts')).tokenCreate,
  },
  {
    name: 'token list',
    aliases: ['ls'],
    summary: 'List join tokens',
    load: async () => (await import('./commands/token-list.ts')).tokenList,
  },
  {
    name: 'token revoke',
    aliases: ['delete'],
    summary: 'Make a join token useless',
    load: async () => (await import('./commands/token-revoke.ts')).tokenRevoke,
  },
  {
    name: 'cluster status',
    summary: 'Show nodes, workloads, capacity and the coordinator at a glance',
    load: async () => (await import('./commands/cluster-status.ts')).clusterStatus,
  },
  {
    name: 'cluster members',
    aliases: ['ls'],
    summary: 'List the coordinators: who leads, and how each is',
    load: async () => (await import('./commands/cluster-members.ts')).clusterMembers,
  },
  {
    name: 'cluster health',
    summary: 'Say whether the coordinators are well, and how many may fail',
    load: async () => (await import('./commands/cluster-health.ts')).clusterHealth,
  },
  {
    name: 'cluster transfer-leader',
    summary: 'Let another coordinator lead',
    load: async () => (await import('./commands/cluster-transfer-leader.ts')).clusterTransferLeader,
  },
  {
    name: 'cluster promote',
    summary: 'Move the only coordinator to RAFT, so that others can join',
    load: async () => (await import('./commands/cluster-engine.ts')).clusterPromote,
  },
  {
    name: 'cluster demote',
    summary: 'Move the last coordinator back to SQLite',
    load: async () => (await import('./commands/cluster-engine.ts')).clusterDemote,
  },
  {
    name: 'cluster remove',
    summary: 'Take a coordinator that is gone out of the RAFT group',
    load: async () => (await import('./commands/cluster-remove.ts')).clusterRemove,
  },
  {
    name: 'cluster recover',
    summary: 'Go on with the one coordinator that is left',
    load: async () => (await import('./commands/cluster-recover.ts')).clusterRecover,
  },
  {
    name: 'cluster backup',
    summary: 'Make a backup of the metadata and the CA, in one encrypted file',
    load: async () => (await import('./commands/cluster-backup.ts')).clusterBackup,
  },
  {
    name: 'cluster restore',
    summary: 'Bring a cluster back from a backup, on this machine',
    load: async () => (await import('./commands/cluster-restore.ts')).clusterRestore,
  },
  {
    name: 'vrn show',
    summary: 'Show capacity, what is promised and used, and what is free',
    load: async () => (await import('./commands/vrn-show.ts')).vrnShow,
  },
  {
    name: 'vrn fragments',
    aliases: ['fragment'],
    summary: 'List the pieces of capacity that are held for replicas',
    load: async () => (await import('./commands/vrn-fragments.ts')).vrnFragments,
  },
  {
    name: 'scheduler get',
    summary: 'Show how nodes are chosen',
    load: async () => (await import('./commands/scheduler-get.ts')).schedulerGet,
  },
  {
    name: 'scheduler set',
    summary: 'Change how nodes are chosen, from the next decision on',
    load: async () => (await import('./commands/scheduler-set.ts')).schedulerSet,
  },
  {
    name: 'simulate drain',
    summary: 'Show what a drain would move where, and what would not fit',
    load: async () => (await import('./commands/simulate.ts')).simulateDrain,
  },
  {
    name: 'simulate loss',
    summary: 'Show what the loss of nodes would move where, and what would not fit',
    load: async () => (await import('./commands/simulate.ts')).simulateLoss,
  },
  {
    name: 'container list',
    aliases: ['ls'],
    summary: 'List containers of a node',
    load: async () => (await import('./commands/container-list.ts')).containerList,
  },
  {
    name: 'container run',
    summary: 'Run a container by hand, outside any workload',
    load: async () => (await import('./commands/container-run.ts')).containerRun,
  },
  {
    name: 'container stop',
    summary: 'Stop a container',
    load: async () => (await import('./commands/container-stop.ts')).containerStop,
  },
  {
    name: 'container stats',
    summary: 'Show what containers use now',
    load: async () => (await import('./commands/container-stats.ts')).containerStats,
  },
  {
    name: 'image list',
    aliases: ['ls'],
    summary: 'List images of a node',
    load: async () => (await import('./commands/image-list.ts')).imageList,
  },
  {
    name: 'image pull',
    summary: 'Pull an image to a node',
    load: async () => (await import('./commands/image-pull.ts')).imagePull,
  },
  {
    name: 'config get-contexts',
    summary: 'List contexts of the configuration',
    load: async () => (await import('./commands/config-get-contexts.ts')).configGetContexts,
  },
  {
    name: 'config use-context',
    summary: 'Choose the context used from now on',
    load: async () => (await import('./commands/config-use-context.ts')).configUseContext,
  },
  {
    name: 'config view',
    summary: 'Print the settings in force and where they come from',
    load: async () => (await import('./commands/config-view.ts')).configView,
  },
]

/** The verbs of a group, without those of groups within it. */
export function entriesOf(group: Group): readonly Entry[] {
  return entries.filter(({ name }) => isWithin(name, group))
}

export function groupsIn(group: Group): readonly Group[] {
  return groups.filter(({ name }) => isWithin(name, group))
}

/** Those that are in no other. */
export function topGroups(): readonly Group[] {
  return groups.filter(({ name }) => !name.includes(' '))
}

/** The last word of a verb's or a group's name. */
export function lastWordOf({ name }: { readonly name: string }): string {
  return name.slice(name.lastIndexOf(' ') + 1)
}

function isWithin(name: string, group: Group): boolean {
  return name.startsWith(`${group.name} `) && !name.slice(group.name.length + 1).includes(' ')
}
