import { CloudlessError, KeyedSerialQueue } from '@cloudless/base'
import { ContainerStore } from './container/container-store.ts'
import { EventPump } from './container/event-pump.ts'
import { GeneratedFileStore } from './container/generated-files.ts'
import { ContainerStarter } from './container/starter.ts'
import { ContainerStopper } from './container/stopper.ts'
import { createContainerdClient } from './containerd/client.ts'
import { callContainerd } from './containerd/errors.ts'
import { ImagePuller } from './image/image-puller.ts'
import { RawLogs } from './logs/raw-logs.ts'
import { ContainerNetwork } from './network/container-network.ts'
import {
  resolveOptions,
  type ContainerdRuntimeDeps,
  type ContainerdRuntimeOptions,
} from './options.ts'
import type { Runtime } from './runtime.ts'
import { CgroupTree } from './usage/cgroup-tree.ts'
import { OomWatch } from './usage/oom-watch.ts'

export interface ContainerdRuntime extends Runtime {
  /** The node's subnet for containers; to be given before the first start. */
  setPodCidr(podCidr: string): void
}

export function createContainerdRuntime(
  deps: ContainerdRuntimeDeps,
  given: ContainerdRuntimeOptions,
): ContainerdRuntime {
  const options = resolveOptions(given)
  const client = createContainerdClient(options)
  const network = new ContainerNetwork(deps, options)
  const store = new ContainerStore(client, (id) => network.addressOf(id))
  const files = new GeneratedFileStore(options)
  const rawLogs = new RawLogs(options.stateDirectory)
  const oom = new OomWatch(new CgroupTree())
  const stopper = new ContainerStopper({
    clock: deps.clock,
    client,
    store,
    network,
    files,
    rawLogs,
    oom,
  })
  const images = new ImagePuller(deps, client)
  const starter = new ContainerStarter(deps, options, {
    client,
    images,
    network,
    files,
    rawLogs,
    adoptOrClean: (id) => stopper.adoptOrClean(id),
  })
  const pump = new EventPump(deps, {
    client,
    namespace: options.namespace,
    store,
    oom,
    onExit: () => {},
  })
  pump.start()
  const queue = new KeyedSerialQueue()
  return {
    setPodCidr: (podCidr) => network.setPodCidr(podCidr),
    async version() {
      const { version } = await callContainerd('ask containerd its version', () =>
        client.version.version({}),
      )
      return `containerd ${version}`
    },
    start: (request) =>
      queue.run(request.containerId, async () => {
        store.starting.add(request.containerId)
        try {
          return await starter.start(request)
        } finally {
          store.starting.delete(request.containerId)
        }
      }),
    stop: (id, graceMs) => stopper.stop(id, graceMs),
    remove: (id) => queue.run(id, () => stopper.remove(id)),
    get: async (id) => (await store.get(id))?.info,
    list: async () => (await store.list()).map((known) => known.info),
    events: (signal) => pump.events(signal),
    async close() {
      await pump.stop()
    },
  } as unknown as ContainerdRuntime
}
