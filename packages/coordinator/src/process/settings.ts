/** Every setting of the coordinator: flags, CLOUDLESS_* variables and file keys are made from this table. */
import type { SettingTable, SettingValues } from '@cloudless/base'

const dayMs = 86_400_000

export const coordinatorSettings = {
  config: { type: 'string', help: 'Read settings from this YAML file.' },
  data_dir: {
    type: 'string',
    default: '/var/lib/cloudless',
    help: 'Where the CA, the metadata and their locks are; private to this coordinator.',
  },
  bind_addr: {
    type: 'list',
    default: ['0.0.0.0:8080'],
    help: 'host:port of the API (TLS 1.3; gRPC, gRPC-web, Connect and JSON); several with commas.',
  },
  advertise_addr: {
    type: 'list',
    default: [],
    help: 'host:port where agents reach this coordinator; put into join tokens. The bind addresses when empty.',
  },
  health_addr: {
    type: 'string',
    default: '127.0.0.1:8081',
    help: 'host:port of plain /healthz and /readyz; empty: none.',
  },
  metrics_addr: {
    type: 'string',
    default: '',
    help: 'host:port of plain /metrics; empty: only on the API port, to operators.',
  },
  'raft.id': {
    type: 'string',
    default: 'coordinator-1',
    help: 'Name of this coordinator in its certificate.',
  },
  log_level: {
    type: 'string',
    default: 'info',
    choices: ['debug', 'info', 'warn', 'error', 'fatal'],
    help: 'Least important log lines to write.',
  },
  'tls.trust_domain': {
    type: 'string',
    default: 'cloudless',
    help: 'The SPIFFE trust domain of a new cluster.',
  },
  'tls.names': {
    type: 'list',
    default: [],
    help: 'More DNS names and IP addresses for the server certificate.',
  },
  'tls.node_certificate_ttl': {
    type: 'duration',
    default: '24h',
    min: 2_000,
    max: 365 * dayMs,
    help: 'Life of a node certificate; agents renew at two thirds of it.',
  },
  'tls.server_certificate_ttl': {
    type: 'duration',
    default: '7d',
    min: 2_000,
    max: 365 * dayMs,
    help: "Life of this coordinator's own certificate.",
  },
  'tls.rejoin_window': {
    type: 'duration',
    default: '30d',
    help: 'How long after its certificate ran out a node may come back without a new token.',
  },
  'membership.heartbeat_interval': {
    type: 'duration',
    default: '1s',
    min: 50,
    max: 60_000,
    help: 'Asked of every agent.',
  },
  'membership.heartbeat_timeout': {
    type: 'duration',
    default: '1600ms',
    min: 100,
    help: 'Silence after which a node that is always on time is lost; widens for one that is often late.',
  },
  'membership.heartbeat_timeout_max': {
    type: 'duration',
    default: '15s',
    help: 'The widest that limit grows.',
  },
  'membership.reset_grace': {
    type: 'duration',
    default: '300ms',
    help: 'How long a node whose connection was reset has to return before it is lost.',
  },
  'membership.return_grace': {
    type: 'duration',
    default: '15s',
    help: 'How long nodes have to return after this coordinator started.',
  },
  'network.cluster_cidr': {
    type: 'string',
    default: '10.244.0.0/16',
    help: 'Network of the containers; each node gets a part of it.',
  },
  'network.node_prefix_length': {
    type: 'int',
    default: 24,
    min: 17,
    max: 30,
    help: "Prefix length of each node's part.",
  },
  'scheduler.scoring.locality_weight': {
    type: 'number',
    default: 0.3,
    min: 0,
    help: 'Weight of wanted regions and zones.',
  },
  'scheduler.scoring.reliability_weight': {
    type: 'number',
    default: 0.25,
    min: 0,
    help: "Weight of a node's record of staying.",
  },
  'scheduler.scoring.cost_weight': {
    type: 'number',
    default: 0.15,
    min: 0,
    help: 'Weight of fitting the size of the node.',
  },
  'scheduler.scoring.utilization_weight': {
    type: 'number',
    default: 0.2,
    min: 0,
    help: 'Weight of filling nodes evenly.',
  },
  'scheduler.scoring.network_penalty_weight': {
    type: 'number',
    default: 0.1,
    min: 0,
    help: 'Weight of what the network lacks.',
  },
  'policy.host_path_prefixes': {
    type: 'list',
    default: [],
    help: 'Host directories that hostPath volumes may lie under; none when empty.',
  },
  'policy.allow_privileged': {
    type: 'bool',
    default: false,
    help: 'Accept privileged containers.',
  },
  'policy.allow_host_namespaces': {
    type: 'bool',
    default: false,
    help: "Accept containers that share the host's network, processes or IPC.",
  },
  'observability.events_max': {
    type: 'int',
    default: 10_000,
    min: 100,
    max: 1_000_000,
    help: 'Newest events that are kept.',
  },
  'api.rate_limit': {
    type: 'number',
    default: 100,
    min: 1,
    help: 'Requests per second of one client; sessions, watches and health are exempt.',
  },
  'api.rate_burst': {
    type: 'number',
    default: 200,
    min: 1,
    help: 'Requests one client may make at once.',
  },
} as const satisfies SettingTable

export type CoordinatorSettings = SettingValues<typeof coordinatorSettings>
