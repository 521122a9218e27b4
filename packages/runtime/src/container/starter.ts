/**
 * Starting a container: writable layer, record, process, network, go.
 *
 * Optimistic: it makes things and looks for leftovers of an earlier attempt only when one is in the way, because
 * each question asked first would cost every start a round trip.
 */
import { CloudlessError, type HostPolicy } from '@cloudless/base'
import { join } from 'node:path'
import { create, toBinary } from '@bufbuild/protobuf'
import { AnySchema, type Any } from '@bufbuild/protobuf/wkt'
import type { ContainerdClient } from '../containerd/client.ts'
import { isAlreadyThere, isNotFound } from '../containerd/errors.ts'
import { OptionsSchema } from '../gen/github.com/containerd/containerd/runtime/v2/runc/options/oci_pb.ts'
import type { Mount } from '../gen/github.com/containerd/containerd/api/types/mount_pb.ts'
import type { ImagePuller } from '../image/image-puller.ts'
import type { LocalImage } from '../image/image-store.ts'
import type { ContainerNetwork } from '../network/container-network.ts'
import { checkHostPolicy, hostPolicyOf } from '../oci/host-policy.ts'
import { planVolumes } from '../oci/mounts.ts'
import { buildOciSpec, type OciSpec } from '../oci/oci-spec.ts'
import { readFromSnapshot } from '../oci/rootfs-files.ts'
import { needsUserFiles, resolveUser, type ContainerUser, type UserRequest } from '../oci/user.ts'
import {
  defaultRuntimeName,
  snapshotter,
  type ContainerdRuntimeDeps,
  type ResolvedOptions,
} from '../options.ts'
import type { ContainerInfo, ContainerRequest } from '../runtime.ts'
import type { RawLogs } from '../logs/raw-logs.ts'
import type { GeneratedFileStore } from './generated-files.ts'
import { labelsFor } from './labels.ts'
import { errorOfStart } from './start-errors.ts'
import { prepareVolumes } from './volumes.ts'

export interface StarterParts {
  readonly client: ContainerdClient
  readonly images: ImagePuller
  readonly network: ContainerNetwork
  readonly files: GeneratedFileStore
  readonly rawLogs: RawLogs
  /** The container if it runs; otherwise whatever is left of it is removed, its volumes excepted. */
  readonly adoptOrClean: (containerId: string) => Promise<ContainerInfo | undefined>
}

/** Exported names of the JSON documents that containerd passes to runc. */
export const specTypeUrl = 'types.containerd.io/opencontainers/runtime-spec/1/Spec'
export const processTypeUrl = 'types.containerd.io/opencontainers/runtime-spec/1/Process'

const idShape = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,75}$/

export class ContainerStarter {
  readonly #deps: ContainerdRuntimeDeps
  readonly #options: ResolvedOptions
  readonly #parts: StarterParts
  readonly hostPolicy: HostPolicy

  constructor(deps: ContainerdRuntimeDeps, options: ResolvedOptions, parts: StarterParts) {
    this.#deps = deps
    this.#options = options
    this.#parts = parts
    this.hostPolicy = hostPolicyOf(options)
  }

  async start(request: ContainerRequest): Promise<ContainerInfo> {
    const { containerId } = request
    checkId(containerId)
    checkHostPolicy(request.spec, this.hostPolicy)
    const image = await this.#parts.images.local(request.spec.image)
    const volumes = planVolumes(request.spec, request)
    const runtimeClass = request.spec.securityContext?.runtimeClassName ?? ''
    const runtimeName = this.#options.runtimeClasses[runtimeClass]!
    const prepared = await this.#prepareLayer(containerId, image)
    if ('running' in prepared) return prepared.running
    try {
      const [user, files] = await Promise.all([
        this.#userOf(request, image, prepared.mounts),
        this.#parts.files.write(containerId, request.hostname),
        prepareVolumes(volumes, {
          hostPathPrefixes: this.#options.hostPathPrefixes,
          fsGroup: fsGroupOf(request),
        }),
      ])
      const options = this.#options
      const spec = buildOciSpec({ request, image: image.config, user, volumes, files, options })
      return await this.#run({ request, image, runtimeName, spec, mounts: prepared.mounts })
    } catch (reason) {
      await this.#cleanAfterFailure(containerId)
      throw errorOfStart(reason, { containerId, image: image.name })
    }
  }

  async #run(plan: {
    readonly request: ContainerRequest
    readonly image: LocalImage
    readonly runtimeName: string
    readonly spec: OciSpec
    readonly mounts: readonly Mount[]
  }): Promise<ContainerInfo> {
    const { request, image, spec } = plan
    const { containerId } = request
    const { client, network, files, rawLogs } = this.#parts
    const startedAtMs = this.#deps.clock.wallMs()
    await client.containers.create({
      container: {
        id: containerId,
        image: image.name,
        runtime: runtimeOf(plan.runtimeName, this.#options.runDirectory),
        snapshotter,
        snapshotKey: containerId,
        spec: jsonAny(specTypeUrl, spec),
        labels: labelsFor(request, {
          stopSignal: image.config.stopSignal,
          cgroupPath: spec.linux.cgroupsPath,
          startedAtMs: String(startedAtMs),
        }),
      },
    })
    const raw = await rawLogs.open(containerId, request.logPath)
    const task = await client.tasks.create({
      containerId,
      rootfs: [...plan.mounts],
      stdout: raw.stdout,
      stderr: raw.stderr,
    })
    const address = await this.#attach(request, task.pid)
    if (address !== '') await files.writeAddress(containerId, request.hostname, address)
    await client.tasks.start({ containerId })
    return {
      containerId,
      replicaId: request.replicaId,
      workloadId: request.workloadId,
      state: 'running',
      pid: task.pid,
      image: request.spec.image,
      address: address || network.addressOf(containerId),
      startedAtMs,
      finishedAtMs: 0,
      exitCode: 0,
    }
  }

  async #attach(request: ContainerRequest, pid: number): Promise<string> {
    if (request.spec.securityContext?.hostNetwork) return ''
    return this.#parts.network.attach({
      containerId: request.containerId,
      pid,
      ports: request.spec.ports,
      address: request.address,
    })
  }

  /** A fresh writable layer over the image; or the container, when it runs already. */
  async #prepareLayer(
    containerId: string,
    image: LocalImage,
  ): Promise<{ readonly mounts: readonly Mount[] } | { readonly running: ContainerInfo }> {
    const prepare = async (): Promise<{ readonly mounts: readonly Mount[] }> => {
      const { mounts } = await this.#parts.client.snapshots.prepare({
        snapshotter,
        key: containerId,
        parent: image.chainId,
        // Not collected before the container's record refers to it; it is removed by its name.
        labels: { 'containerd.io/gc.root': new Date(this.#deps.clock.wallMs()).toISOString() },
      })
      return { mounts }
    }
    // Each obstacle is cleared once; a second time it is an error.
    const cleared = new Set<string>()
    for (;;) {
      try {
        return await prepare()
      } catch (reason) {
        const obstacle = isAlreadyThere(reason) ? 'leftover' : isNotFound(reason) ? 'unpack' : ''
        if (obstacle === '' || cleared.has(obstacle)) {
          throw errorOfStart(reason, { containerId, image: image.name })
        }
        cleared.add(obstacle)
        if (obstacle === 'unpack') await this.#parts.images.unpack(image)
        else {
          const running = await this.#parts.adoptOrClean(containerId)
          if (running !== undefined) return { running }
        }
      }
    }
  }

  async #userOf(
    request: ContainerRequest,
    image: LocalImage,
    mounts: readonly Mount[],
  ): Promise<ContainerUser> {
    const security = request.spec.securityContext
    const userRequest: UserRequest = {
      imageUser: image.config.user,
      ...(security?.runAsUser === undefined ? {} : { runAsUser: Number(security.runAsUser) }),
      ...(security?.runAsGroup === undefined ? {} : { runAsGroup: Number(security.runAsGroup) }),
      supplementalGroups: (security?.linux?.supplementalGroups ?? []).map(Number),
      runAsNonRoot: security?.runAsNonRoot ?? false,
      image: image.name,
    }
    const [passwd, group] = await Promise.all([
      readFromSnapshot(mounts, 'etc', 'passwd'),
      needsUserFiles(userRequest) ? readFromSnapshot(mounts, 'etc', 'group') : '',
    ])
    return resolveUser(userRequest, { passwd, group })
  }

  async #cleanAfterFailure(containerId: string): Promise<void> {
    try {
      await this.#parts.adoptOrClean(containerId)
    } catch (reason) {
      // The failure that brought us here is the one to report; the next start cleans first.
      this.#deps.logger.warn({ containerId, err: reason }, 'Could not clean up a failed start')
    }
  }
}

/** runc's own records go beside ours: in its default place, containerds of one machine get in each other's way. */
function runtimeOf(name: string, runDirectory: string): { name: string; options?: Any } {
  if (name !== defaultRuntimeName) return { name }
  const options = create(OptionsSchema, { root: join(runDirectory, 'runc') })
  const value = toBinary(OptionsSchema, options)
  return { name, options: create(AnySchema, { typeUrl: OptionsSchema.typeName, value }) }
}

export function jsonAny(typeUrl: string, value: unknown): Any {
  return create(AnySchema, { typeUrl, value: new TextEncoder().encode(JSON.stringify(value)) })
}

function fsGroupOf(request: ContainerRequest): number | undefined {
  const group = request.spec.securityContext?.linux?.fsGroup
  return group === undefined ? undefined : Number(group)
}

function checkId(containerId: string): void {
  if (idShape.test(containerId)) return
  throw new CloudlessError(
    'invalid_argument',
    `"${containerId}" is not a container id: at most 76 letters, digits, "_", "." and "-".`,
  )
}
