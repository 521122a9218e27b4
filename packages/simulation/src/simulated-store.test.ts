import { seededRandom, systemClock } from '@cloudless/base'
import { describeMetadataStore } from '@cloudless/metadata/compliance'
import { SimulatedDisk } from './simulated-disk.ts'
import { SimulatedStore } from './simulated-store.ts'

describeMetadataStore('the simulated store', async () => {
  const random = seededRandom(1)
  const disk = new SimulatedDisk(random, { syncMsMin: 0.1, syncMsMax: 2 })
  const store = new SimulatedStore({ clock: systemClock, random, disk })
  return { store, dispose: () => store.close() }
})
