/**
 * docs/cli.md, made from the data that parses command lines and prints help.
 *
 * `node packages/cli/src/reference.ts` writes it; a test says when that has been forgotten.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { entries, entriesOf, groups, type Entry } from './catalog.ts'
import type { Command } from './command.ts'
import { exitCodeMeanings } from './exit-code.ts'
import { globalOptions } from './global-options.ts'
import { optionRow, usageOf } from './help.ts'

export const referencePath = join(import.meta.dirname, '..', '..', '..', 'docs', 'cli.md')

const introduction = `# cloudlessctl

Drives a cluster: the devices that joined it and what runs on them. This page is made from the command itself
(\`node packages/cli/src/reference.ts\`); \`cloudlessctl --help\` and \`cloudlessctl GROUP VERB --help\` say the same.

## In five lines

\`\`\`sh
cloudlessctl node list
cloudlessctl apply -f examples/workloads/simple-web.yaml --wait
cloudlessctl workload replicas simple-web
cloudlessctl workload logs simple-web -f
cloudlessctl workload exec -it simple-web -- sh
\`\`\`

Who knows kubectl may type its words: \`get nodes\`, \`get workloads -A\`, \`describe node NAME\`, \`logs NAME -f\`,
\`exec -it NAME -- CMD\`, \`scale NAME --replicas N\`, \`rollout status NAME\`, \`delete workload NAME\`, \`cordon\`, \`drain\`, \`uncordon\`.

Names work wherever ids do. A workload's name is looked up in the namespace: \`-n\`, the context's, or \`default\`.

## Which cluster

The first of these files that exists is the configuration: \`--config\`, \`$CLOUDLESS_CONFIG\`,
\`$CLOUDLESS_HOME/config.yaml\`, \`./.cloudless/config.yaml\`, \`~/.cloudless/config.yaml\`.

\`\`\`yaml
current_context: home
contexts:
  - name: home
    coordinator: 10.88.0.1:8080        # several, separated by commas, are tried in turn
    ca_file: operator/ca.pem           # relative to this file
    cert_file: operator/cert.pem
    key_file: operator/key.pem
    namespace: default
\`\`\`

For a single cluster the keys of a context may stand alone, without \`contexts\`. A flag wins over a variable
(\`CLOUDLESS_COORDINATOR\`, \`CLOUDLESS_CA_FILE\`, \`CLOUDLESS_CERT_FILE\`, \`CLOUDLESS_KEY_FILE\`, \`CLOUDLESS_NAMESPACE\`,
\`CLOUDLESS_CONTEXT\`), a variable over the file.

Every connection is TLS 1.3 with your certificate. The coordinator is known by the cluster's CA and by the controller
identity in its certificate, not by its host name.

## Output

\`-o table\` is for people and \`wide\` has more columns; \`-o name\` prints \`node/NAME\` lines; \`-o json\` and \`-o yaml\`
print the fields of the API by their JSON names, 64-bit numbers as text, a list as \`{"items": [...]}\`. With \`--watch\`,
json is one \`{"type": "ADDED", "object": {...}}\` per line. Progress and warnings go to stderr.
`

/** The whole page. */
export async function referenceText(): Promise<string> {
  const parts = [
    introduction,
    '## Exit codes\n',
    table(
      ['Code', 'Meaning'],
      exitCodeMeanings.map(([code, meaning]) => [String(code), meaning]),
    ),
    '`workload exec` ends with the exit code of the command it ran.\n',
    '## Options of every command\n',
    optionTable(globalOptions),
  ]
  const alone = entries.filter((entry) => !entry.hidden && !entry.name.includes(' '))
  for (const group of groups) {
    const others = group.aliases.length === 0 ? '' : ` (also ${group.aliases.join(', ')})`
    parts.push(`## ${group.name}${others}\n`, `${group.summary}.\n`)
    for (const entry of entriesOf(group)) {
      parts.push(commandSection(entry, await entry.load()))
    }
  }
  parts.push('## Other commands\n')
  for (const entry of alone) parts.push(commandSection(entry, await entry.load()))
  return parts.join('\n')
}

function commandSection(entry: Entry, command: Command): string {
  const own = command.options.filter((option) => !option.hidden)
  const examples = command.examples.map(({ title, line }) => `# ${title}\n${line}`).join('\n')
  return [
    `### ${entry.name}\n`,
    `${entry.summary}. ${command.description.replaceAll('\n', ' ')}\n`,
    `\`\`\`sh\n${usageOf(entry, command)}\n\`\`\`\n`,
    ...(command.arguments.length === 0
      ? []
      : [
          table(
            ['Argument', ''],
            command.arguments.map(({ name, help }) => [`\`${name}\``, help]),
          ),
        ]),
    ...(own.length === 0 ? [] : [optionTable(own)]),
    `\`\`\`sh\n${examples}\n\`\`\`\n`,
  ].join('\n')
}

function optionTable(options: Command['options']): string {
  const rows = options.map((option) => {
    const [left, right] = optionRow(option)
    return [`\`${left.trim()}\``, right]
  })
  return table(['Option', ''], rows)
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`
  return `${line(titles)}|${'---|'.repeat(titles.length)}\n${rows.map(line).join('')}`
}

if (import.meta.main) writeFileSync(referencePath, await referenceText())
