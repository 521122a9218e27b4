/** Our containers as containerd knows them: found again, described, and taken apart. */
import type { ContainerdClient } from '../containerd/client.ts'
import { callContainerd, callOrAbsent } from '../containerd/errors.ts'
import type { Container } from '../gen/github.com/containerd/containerd/api/services/containers/v1/containers_pb.ts'
import {
  Status,
  type Process,
} from '../gen/github.com/containerd/containerd/api/types/task/task_pb.ts'
import { snapshotter } from '../options.ts'
import type { ContainerInfo, ContainerState } from '../runtime.ts'
import { parseLabels, type ContainerLabels } from './labels.ts'
import { unixMsOf } from './timestamp.ts'

export interface KnownContainer {
  readonly info: ContainerInfo
  readonly labels: ContainerLabels
}

/** A container whose task is gone, as after a reboot, ended without anyone seeing how. */
const exitCodeUnseen = 255

const stateByStatus: Readonly<Record<Status, ContainerState>> = {
  [Status.UNKNOWN]: 'unknown',
  [Status.CREATED]: 'created',
  [Status.RUNNING]: 'running',
  [Status.STOPPED]: 'stopped',
  [Status.PAUSED]: 'paused',
  [Status.PAUSING]: 'paused',
}

export class ContainerStore {
  readonly #client: ContainerdClient
  readonly #addressOf: (containerId: string) => string
  /** Ids whose start is under way: without a task they are not ended but about to be. */
  readonly starting = new Set<string>()

  constructor(client: ContainerdClient, addressOf: (containerId: string) => string) {
    this.#client = client
    this.#addressOf = addressOf
  }

  async get(containerId: string): Promise<KnownContainer | undefined> {
    const [container, process] = await Promise.all([
      callOrAbsent(`look up container ${containerId}`, () =>
        this.#client.containers.get({ id: containerId }),
      ),
      callOrAbsent(`look up the process of ${containerId}`, () =>
        this.#client.tasks.get({ containerId }),
      ),
    ])
    if (container?.container === undefined) return undefined
    return this.#describe(container.container, process?.process)
  }

  async list(): Promise<readonly KnownContainer[]> {
    const [{ containers }, { tasks }] = await Promise.all([
      callContainerd('list the containers', () => this.#client.containers.list({})),
      callContainerd('list the processes', () => this.#client.tasks.list({})),
    ])
    const processById = new Map(tasks.map((process) => [taskIdOf(process), process]))
    return containers.flatMap((container) => {
      const known = this.#describe(container, processById.get(container.id))
      return known === undefined ? [] : [known]
    })
  }

  /** Removes the record and the writable layer. Its process must have been deleted. */
  async delete(containerId: string): Promise<void> {
    await callOrAbsent(`remove container ${containerId}`, () =>
      this.#client.containers.delete({ id: containerId }),
    )
    await callOrAbsent(`remove the writable layer of ${containerId}`, () =>
      this.#client.snapshots.remove({ snapshotter, key: containerId }),
    )
  }

  #describe(container: Container, process: Process | undefined): KnownContainer | undefined {
    const labels = parseLabels(container.labels)
    if (labels === undefined) return undefined
    return { labels, info: this.#infoOf(container, process, labels) }
  }

  #infoOf(
    container: Container,
    process: Process | undefined,
    labels: ContainerLabels,
  ): ContainerInfo {
    const containerId = container.id
    const withoutProcess: ContainerState = this.starting.has(containerId) ? 'created' : 'stopped'
    const state =
      process === undefined ? withoutProcess : (stateByStatus[process.status] ?? 'unknown')
    return {
      containerId,
      replicaId: labels.replicaId,
      workloadId: labels.workloadId,
      state,
      pid: state === 'stopped' ? 0 : (process?.pid ?? 0),
      image: labels.image,
      address: this.#addressOf(containerId),
      startedAtMs: Number(labels.startedAtMs),
      finishedAtMs: state === 'stopped' ? unixMsOf(process?.exitedAt) : 0,
      exitCode: state === 'stopped' ? (process?.exitStatus ?? exitCodeUnseen) : 0,
    }
  }
}

/** A task's id is in `id` in some versions of containerd and in `containerId` in others. */
function taskIdOf(process: Process): string {
  return process.id || process.containerId
}
