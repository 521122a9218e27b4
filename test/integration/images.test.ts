/** Images pulled from a real registry, and what happens while it is away. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  applyWorkload,
  buildImage,
  busyboxFiles,
  pushImage,
  startCluster,
  startRegistry,
  waitFor,
  waitForReady,
  waitForReplicas,
  type Cluster,
  type LocalRegistry,
} from '@cloudless/test/testkit'

const subnet = '10.80.10'
let cluster: Cluster
let registry: LocalRegistry

before(async () => {
  const address = `${subnet}.253`
  cluster = await startCluster({
    prefix: 'timage',
    subnet,
    agents: ['a', 'b'].map((name) => ({ name, cpuCores: 2, memoryMb: 1024 })),
    agentConfig: { images: { insecure_registries: [`${address}:5000`] } },
    withImage: false,
  })
  registry = await startRegistry({ address, port: 5000 })
})

after(async () => {
  await registry?.destroy()
  await cluster?.stop()
})

async function push(tag: string, architecture?: string): Promise<string> {
  const name = `app:${tag}`
  const files = await busyboxFiles()
  const config = { Cmd: ['/bin/sleep', '1000'], Env: [`TAG=${tag}`] }
  return pushImage(
    registry,
    name,
    buildImage({ name, ...files, config, ...(architecture && { architecture }) }),
  )
}

const always = { image_pull_policy: 'Always', termination_grace: '1s' }

test('an image is pulled by every node that needs it', async () => {
  const image = await push('1')
  await applyWorkload(cluster, { name: 'app', image, replicas: 2, spec: always })
  const replicas = await waitForReady(cluster, 'app', 2)
  assert.deepEqual(replicas.map(({ nodeName }) => nodeName).toSorted(), ['a', 'b'])
  assert.match(await cluster.ctl.text(['workload', 'exec', 'app', '--', 'env']), /TAG=1/)
  await waitFor(
    async () => {
      const nodes = await cluster.ctl.items<{ imageCount?: number }>(['node', 'list'])
      return nodes.every(({ imageCount }) => imageCount === 1)
    },
    { what: 'both nodes to tell of the image' },
  )
})

test('with the registry away, a node that has the image starts from its own copy', async () => {
  await registry.stop()
  try {
    await cluster.ctl.text(['workload', 'restart', 'app', '--wait'])
    await waitForReady(cluster, 'app', 2)
  } finally {
    await registry.start()
  }
})

test('an image that does not exist is said, and runs once it is there', async () => {
  const image = `${registry.name}/app:2`
  await applyWorkload(cluster, { name: 'later', image, spec: always })
  const [replica] = await waitForReplicas(cluster, 'later', { what: 'the reason' }, ([first]) =>
    /ErrImagePull|ImagePullBackOff/.test(first?.reason ?? ''),
  )
  assert.match(replica!.message ?? '', /app:2/)
  await push('2')
  await waitForReady(cluster, 'later', 1, 60_000)
})

test('an image for other machines is refused once, and placed on no node after that', async () => {
  const image = await push('other', 's390x')
  await applyWorkload(cluster, { name: 'first', image })
  const [tried] = await waitForReplicas(cluster, 'first', { what: 'the reason' }, ([replica]) =>
    /ErrImagePull|ImagePullBackOff/.test(replica?.reason ?? ''),
  )
  assert.match(tried!.message ?? '', /no image for linux\/\w+.*made for linux\/s390x/)
  let round = 0
  await waitFor(
    async () => {
      const name = `next-${++round}`
      await applyWorkload(cluster, { name, image })
      const [replica] = await waitForReplicas(cluster, name, { what: 'a decision' }, ([first]) =>
        Boolean(first?.nodeName || first?.pendingReasons?.length),
      )
      return replica!.pendingReasons?.some(({ reason }) => /no image for linux/.test(reason))
    },
    { what: 'the node to tell of it' },
  )
})
