/** What each part of the coordinator is told, from the settings an operator writes. */
import { CloudlessError } from '@cloudless/base'
import { scheduledBackupsOf } from '../backup/backup-settings.ts'
import type { Packing } from '@cloudless/scheduler'
import { spreadTopologyOf, type SchedulerSettings } from '../controllers/scheduler-configuration.ts'
import type { ApiServerOptions } from '../server/api-server.ts'
import { isToldOfRaft } from './engine.ts'
import { advertisedAddresses, certificateNames, requireAddress } from './addresses.ts'
import type { CoordinatorSettings } from './settings.ts'

export type CoordinatorOptions = ReturnType<typeof optionsOf>

export function optionsOf(settings: CoordinatorSettings) {
  return {
    /** Undefined: looked for on PATH. */
    etcdBinary: settings['raft.etcd_binary'] || undefined,
    /** It is told to be one of several, and would not start with SQLite. */
    isToldOfRaft: isToldOfRaft(settings),
    leaseMs: Math.ceil(settings['raft.leader_lease'] / 1_000) * 1_000,
    /** "host:port" where agents and other coordinators reach this one. */
    advertised: advertisedAddresses(settings),
    liveness: {
      heartbeatIntervalMs: settings['membership.heartbeat_interval'],
      heartbeatTimeoutMs: settings['membership.heartbeat_timeout'],
      heartbeatTimeoutMsMax: settings['membership.heartbeat_timeout_max'],
      resetGraceMs: settings['membership.reset_grace'],
      resetGraceMsMax: settings['membership.reset_grace_max'],
      returnGraceMs: settings['membership.return_grace'],
    },
    takeoverGraceMs: settings['membership.takeover_grace'],
    massLoss: {
      holdMs: settings['membership.mass_loss_hold'],
      evictionsPerMinute: settings['membership.eviction_rate'],
    },
    enrolment: {
      certificateLifetimeMs: settings['tls.node_certificate_ttl'],
      rejoinWindowMs: settings['tls.rejoin_window'],
      heartbeatIntervalMs: settings['membership.heartbeat_interval'],
      subnets: {
        clusterCidr: settings['network.cluster_cidr'],
        nodePrefixLength: settings['network.node_prefix_length'],
      },
    },
    scheduler: schedulerSettingsOf(settings),
    admission: {
      hostPathPrefixes: settings['policy.host_path_prefixes'],
      allowPrivileged: settings['policy.allow_privileged'],
      allowHostNamespaces: settings['policy.allow_host_namespaces'],
    },
    backups: scheduledBackupsOf(settings),
    profiling: settings['profiling.enabled'],
    server: serverOptionsOf(settings),
  }
}

/** What holds until an operator changes it while the cluster runs. */
function schedulerSettingsOf(settings: CoordinatorSettings): SchedulerSettings {
  const weights = {
    locality: settings['scheduler.scoring.locality_weight'],
    reliability: settings['scheduler.scoring.reliability_weight'],
    cost: settings['scheduler.scoring.cost_weight'],
    utilization: settings['scheduler.scoring.utilization_weight'],
    networkPenalty: settings['scheduler.scoring.network_penalty_weight'],
  }
  if (Object.values(weights).every((weight) => weight === 0)) {
    throw new CloudlessError(
      'invalid_argument',
      'scheduler.scoring: the weights must not all be 0; raise one, or leave them all out',
    )
  }
  return {
    weights,
    packing: settings['scheduler.packing'] as Packing,
    spreadTopology: spreadTopologyOf(settings['scheduler.spread_topology']),
    cpuOvercommit: settings['scheduler.cpu_overcommit'],
    memoryOvercommit: settings['scheduler.memory_overcommit'],
    preemptionPriorityAbove: settings['scheduler.preemption_priority_above'],
  }
}

function serverOptionsOf(settings: CoordinatorSettings): ApiServerOptions {
  const { health_addr: health, metrics_addr: metrics } = settings
  return {
    coordinatorId: settings['raft.id'],
    addresses: settings.bind_addr.map(requireAddress),
    certificateLifetimeMs: settings['tls.server_certificate_ttl'],
    rateLimit: { perSecond: settings['api.rate_limit'], burst: settings['api.rate_burst'] },
    ...certificateNames(settings),
    ...(health === '' ? {} : { healthAddress: requireAddress(health) }),
    ...(metrics === '' ? {} : { metricsAddress: requireAddress(metrics) }),
  }
}
