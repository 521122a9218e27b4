/** `config view`: what is in force, and where it comes from. */
import type { Command } from '../command.ts'
import { configPathCandidates } from '../config/config-file.ts'
import { encode } from '../output/encode.ts'

export const configView: Command = {
  description:
    'Prints the settings this command would use: flags win over CLOUDLESS_* variables, those over the\n' +
    'configuration file. Files with secrets are named, never printed.',
  examples: [
    { title: 'What is in force', line: 'cloudlessctl config view' },
    { title: 'Of another context', line: 'cloudlessctl config view --context home -o json' },
  ],
  arguments: [],
  options: [],

  async run(context) {
    const { settings, io, environment, workingDirectory } = context
    const view = {
      config_file: settings.configPath ?? null,
      context: settings.contextName ?? null,
      coordinators: [...settings.coordinators],
      ca_file: settings.caFile ?? null,
      cert_file: settings.certFile ?? null,
      key_file: settings.keyFile ?? null,
      namespace: settings.namespace,
      request_timeout_ms: settings.requestTimeoutMs,
    }
    io.out(await encode(view, settings.output === 'json' ? 'json' : 'yaml'))
    if (settings.configPath === undefined) {
      const places = configPathCandidates(environment, workingDirectory)
      io.err(`No configuration file; looked for ${places.join(', ')}.\n`)
    }
    return 0
  },
}
