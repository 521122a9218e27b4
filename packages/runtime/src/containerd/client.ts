/**
 * containerd's services over its unix socket, every call in our namespace, every failure a CloudlessError.
 */
import { createClient, type Client, type Interceptor, type Transport } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import { connect } from 'node:net'
import { Containers } from '../gen/github.com/containerd/containerd/api/services/containers/v1/containers_pb.ts'
import { Content } from '../gen/github.com/containerd/containerd/api/services/content/v1/content_pb.ts'
import { Diff } from '../gen/github.com/containerd/containerd/api/services/diff/v1/diff_pb.ts'
import { Events } from '../gen/github.com/containerd/containerd/api/services/events/v1/events_pb.ts'
import { Images } from '../gen/github.com/containerd/containerd/api/services/images/v1/images_pb.ts'
import { Leases } from '../gen/github.com/containerd/containerd/api/services/leases/v1/leases_pb.ts'
import { Snapshots } from '../gen/github.com/containerd/containerd/api/services/snapshots/v1/snapshots_pb.ts'
import { Tasks } from '../gen/github.com/containerd/containerd/api/services/tasks/v1/tasks_pb.ts'
import { Version } from '../gen/github.com/containerd/containerd/api/services/version/v1/version_pb.ts'

export interface ContainerdClient {
  readonly containers: Client<typeof Containers>
  readonly content: Client<typeof Content>
  readonly diff: Client<typeof Diff>
  readonly events: Client<typeof Events>
  readonly images: Client<typeof Images>
  readonly leases: Client<typeof Leases>
  readonly snapshots: Client<typeof Snapshots>
  readonly tasks: Client<typeof Tasks>
  readonly version: Client<typeof Version>
}

export interface ContainerdClientOptions {
  /** Path of containerd's socket. */
  readonly socket: string
  /** containerd's namespace, which keeps our containers apart from other users' of the same containerd. */
  readonly namespace: string
}

/** Within this an answer comes, or containerd hangs; slow disks are allowed for. */
const answerDeadlineMs = 120_000

/** For calls that last as long as what they wait for; those have a signal, or end with the container. */
export const unlimited = { timeoutMs: 0 } as const

/** Dials nothing yet; a lost connection is dialled again by the next call. */
export function createContainerdClient(options: ContainerdClientOptions): ContainerdClient {
  const addNamespace: Interceptor = (next) => (request) => {
    request.header.set('containerd-namespace', options.namespace)
    return next(request)
  }
  const transport: Transport = createGrpcTransport({
    // The host name is never resolved: every connection goes to the socket.
    baseUrl: 'http://localhost',
    interceptors: [addNamespace],
    defaultTimeoutMs: answerDeadlineMs,
    nodeOptions: { createConnection: () => connect(options.socket) },
  })
  return {
    containers: createClient(Containers, transport),
    content: createClient(Content, transport),
    diff: createClient(Diff, transport),
    events: createClient(Events, transport),
    images: createClient(Images, transport),
    leases: createClient(Leases, transport),
    snapshots: createClient(Snapshots, transport),
    tasks: createClient(Tasks, transport),
    version: createClient(Version, transport),
  }
}

/** The header that keeps what a call makes from containerd's garbage collector while the lease lives. */
export function underLease(leaseId: string): { headers: Record<string, string> } {
  return { headers: { 'containerd-lease': leaseId } }
}
