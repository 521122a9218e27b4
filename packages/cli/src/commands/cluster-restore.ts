/** `cluster restore`: runs the coordinator's program of the same name, on this machine. */
import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { CloudlessError, messageOf, onAbort } from '@cloudless/base'
import type { Command, CommandContext, CommandInput } from '../command.ts'

export const clusterRestore: Command = {
  description:
    'Brings a cluster back from a backup, on the machine that is to be its coordinator: runs `coordinator restore` there,\n' +
    'which needs no cluster. The coordinator must not run, and its data directory must be empty or absent. Start the\n' +
    'coordinator afterwards as always: the nodes come back by themselves, and what they run is not touched. What is newer\n' +
    'on them than the backup is told as an event.',
  examples: [
    {
      title: 'What is in it, and whether it is whole',
      line: 'cloudlessctl cluster restore today.backup --check --passphrase-file ~/backup.passphrase',
    },
    {
      title: 'One coordinator, with SQLite',
      line: 'cloudlessctl cluster restore today.backup --passphrase-file p --data-dir /var/lib/cloudless',
    },
    {
      title: 'The first of several, with the settings it is started with',
      line: 'cloudlessctl cluster restore today.backup --passphrase-file p --settings coordinator.yaml --raft-bootstrap',
    },
  ],
  arguments: [{ name: 'FILE', help: 'The backup', completes: 'file' }],
  options: [
    { name: 'check', kind: 'flag', help: 'Only say whether it is whole, and what it holds' },
    {
      name: 'passphrase-file',
      kind: 'text',
      value: 'FILE',
      help: 'The passphrase of the backup is the first line of this file',
      completes: 'file',
    },
    {
      name: 'encryption-key-file',
      kind: 'text',
      value: 'FILE',
      help: 'The key of the backup is the 32 bytes of this file',
      completes: 'file',
    },
    {
      name: 'data-dir',
      kind: 'text',
      value: 'DIRECTORY',
      help: 'Of the coordinator; the one in --settings, or /var/lib/cloudless, when not given',
      completes: 'file',
    },
    {
      name: 'settings',
      kind: 'text',
      value: 'FILE',
      help: 'The configuration file that the coordinator is started with',
      completes: 'file',
    },
    {
      name: 'raft-bootstrap',
      kind: 'flag',
      help: 'With RAFT, so that other coordinators can join',
    },
    {
      name: 'coordinator-binary',
      kind: 'text',
      value: 'PATH',
      help: 'The program `coordinator`; beside this one, or on PATH, when not given',
      completes: 'file',
    },
  ],

  async run(context, input) {
    const program = programOf(context, input)
    const args = ['restore', ...argumentsFor(context, input)]
    const { io, signal, workingDirectory } = context
    const child = spawn(program, args, { cwd: workingDirectory, stdio: ['ignore', 'pipe', 'pipe'] })
    onAbort(signal, () => child.kill('SIGTERM'))
    child.stdout.on('data', (chunk: Buffer) => io.out(chunk))
    child.stderr.on('data', (chunk: Buffer) => io.err(chunk))
    return new Promise((done, fail) => {
      child.once('error', (reason) =>
        fail(new CloudlessError('failed_precondition', `running ${program}: ${messageOf(reason)}`)),
      )
      child.once('close', (code) => done(code ?? 1))
    })
  },
}

function argumentsFor(
  { workingDirectory }: CommandContext,
  { arguments: given, options }: CommandInput,
) {
  const file = (name: string, flag: string): string[] => {
    const path = options.text(name)
    return path === undefined ? [] : [flag, resolve(workingDirectory, path)]
  }
  return [
    ...['--from', resolve(workingDirectory, given[0]!)],
    ...(options.flag('check') ? ['--check'] : []),
    ...file('passphrase-file', '--passphrase-file'),
    ...file('encryption-key-file', '--encryption-key-file'),
    ...file('data-dir', '--data-dir'),
    ...file('settings', '--config'),
    ...(options.flag('raft-bootstrap') ? ['--raft-bootstrap'] : []),
  ]
}

/** `failed_precondition`, saying where it was looked for. */
function programOf(
  { environment, workingDirectory }: CommandContext,
  { options }: CommandInput,
): string {
  const given = options.text('coordinator-binary')
  const onPath = (environment['PATH'] ?? '')
    .split(delimiter)
    .filter((directory) => directory !== '')
  const places =
    given === undefined
      ? [besideThisOne, ...onPath.map((directory) => join(directory, 'coordinator'))]
      : [resolve(workingDirectory, given)]
  const found = places.find(isProgram)
  if (found !== undefined) return found
  throw new CloudlessError(
    'failed_precondition',
    given === undefined
      ? `there is no program \`coordinator\` on this machine, neither at ${besideThisOne} nor on PATH: run this where the ` +
          'coordinator is to be, or name it with --coordinator-binary'
      : `${places[0]} is no program`,
  )
}

const besideThisOne = join(import.meta.dirname, '..', '..', '..', '..', 'bin', 'coordinator')

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
