/** `delete -f`: the workloads of manifests. */
import type { Command } from '../command.ts'
import { UsageError } from '../exit-code.ts'
import { fileOptions } from '../manifest-files.ts'
import { deleteOptions, deleteWorkloads } from './deleting.ts'

export const deleteManifests: Command = {
  description:
    'Deletes the workloads that manifests name, whatever else the manifests say. By name: `delete workload NAME`.',
  examples: [
    { title: 'What a file applied', line: 'cloudlessctl delete -f web.yaml' },
    { title: 'And wait until nothing is left', line: 'cloudlessctl delete -f web.yaml --wait' },
  ],
  arguments: [],
  options: [...fileOptions, ...deleteOptions],

  async run(context, { options }) {
    if (!options.has('file')) {
      throw new UsageError('name a manifest with -f, or use `cloudlessctl delete workload NAME`')
    }
    const { readManifests } = await import('../manifests.ts')
    const documents = await readManifests(context, options.list('file'), options.flag('recursive'))
    const wanted = documents.map(({ workload }) => ({
      workloadId: workload.name,
      namespace: workload.namespace,
    }))
    return await deleteWorkloads(context, options, wanted)
  },
}
