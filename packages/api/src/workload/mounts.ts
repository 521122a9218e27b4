/** Rules for ports, volumes and secrets: what is joined to a container from outside. */
import { parseBytes, problemWithLabel, problemWithSubdomain, suggestion } from '@cloudless/base'
import type {
  Port,
  SecretEnvSource,
  SecretVolumeSource,
  Volume,
  WorkloadSpec,
} from '../gen/cloudless/v1/workload_pb.ts'
import { quoted, type ProblemList } from './problem.ts'

export const volumeSources = ['emptyDir', 'hostPath', 'configMap', 'secret'] as const
export const portRange = { min: 1, max: 65_535 }

const environmentName = /^[A-Za-z_][A-Za-z0-9_.-]*$/

/** Undefined when it may name an environment variable. */
export function problemWithVariable(name: string): string | undefined {
  if (environmentName.test(name)) return undefined
  return 'must be a name of letters, digits, "_", "." and "-" that does not start with a digit'
}

export function validatePorts(ports: readonly Port[], problems: ProblemList): void {
  for (const [index, port] of ports.entries()) {
    const at = problems.at(index)
    if (port.name !== '') at.at('name').addIf(problemWithLabel(port.name))
    at.at('containerPort').integer(port.containerPort, portRange)
    at.at('hostPort').integer(port.hostPort, { ...portRange, min: 0 })
    at.at('protocol').oneOf(port.protocol, ['', 'TCP', 'UDP'])
  }
  const withProtocol = (number: number, port: Port) => `${number}/${port.protocol || 'TCP'}`
  problems.unique(ports, (port) => port.name, 'name')
  problems.unique(ports, (port) => withProtocol(port.containerPort, port), 'container port')
  problems.unique(
    ports,
    (port) => (port.hostPort === 0 ? '' : withProtocol(port.hostPort, port)),
    'host port',
  )
}

export function validateMounts(spec: WorkloadSpec, problems: ProblemList): void {
  for (const [index, volume] of spec.volumes.entries()) {
    validateVolume(volume, problems.at('volumes', index))
  }
  problems.at('volumes').unique(spec.volumes, (volume) => volume.name, 'name')
  for (const [index, source] of spec.secretVolumes.entries()) {
    validateSecretVolume(source, problems.at('secretVolumes', index))
  }
  for (const [index, source] of spec.secretEnv.entries()) {
    validateSecretEnv(source, problems.at('secretEnv', index))
  }
  const taken = new Set(spec.volumes.map((volume) => trimmed(volume.mountPath)))
  problems.at('volumes').unique(spec.volumes, (volume) => trimmed(volume.mountPath), 'mount path')
  for (const [index, source] of spec.secretVolumes.entries()) {
    const path = trimmed(source.mountPath)
    const at = problems.at('secretVolumes', index, 'mountPath')
    if (taken.has(path)) at.add(`repeats the mount path ${quoted(path)}`)
    taken.add(path)
  }
}

function validateVolume(volume: Volume, problems: ProblemList): void {
  problems.at('name').addIf(problemWithLabel(volume.name))
  problems.at('source').oneOf(volume.source, volumeSources)
  problems.at('mountPath').absolutePath(volume.mountPath)
  if (trimmed(volume.mountPath) === '/') problems.at('mountPath').add('must not be "/"')
  const options = problems.at('options')
  switch (volume.source) {
    case 'emptyDir':
      return validateEmptyDir(volume.options, options)
    case 'hostPath':
      return validateHostPath(volume.options, options)
    case 'configMap':
      if (Object.keys(volume.options).length === 0) options.add('must name at least one file')
      for (const name of Object.keys(volume.options)) {
        options.at(name).addIf(problemWithFileName(name))
      }
  }
}

function validateEmptyDir(options: Readonly<Record<string, string>>, problems: ProblemList): void {
  knownOptions(options, ['medium', 'size_bytes'], problems)
  problems.at('medium').oneOf(options['medium'] ?? '', ['', 'memory'])
  const size = options['size_bytes']
  if (size !== undefined && !(parseBytes(size)! > 0)) {
    problems.at('size_bytes').add(`must be a size such as "64Mi", not ${quoted(size)}`)
  }
}

function validateHostPath(options: Readonly<Record<string, string>>, problems: ProblemList): void {
  knownOptions(options, ['path', 'type'], problems)
  problems.at('path').absolutePath(options['path'] ?? '')
  const types = ['', 'Directory', 'DirectoryOrCreate', 'File']
  problems.at('type').oneOf(options['type'] ?? '', types)
}

function knownOptions(
  options: Readonly<Record<string, string>>,
  known: readonly string[],
  problems: ProblemList,
): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue
    problems.at(name).add(`is not an option of this source${suggestion(name, known)}`)
  }
}

function validateSecretEnv(source: SecretEnvSource, problems: ProblemList): void {
  validateSecretName(source, problems)
  for (const [key, name] of Object.entries(source.keyToEnv)) {
    problems.at('keyToEnv', key).addIf(problemWithVariable(name))
  }
}

function validateSecretVolume(source: SecretVolumeSource, problems: ProblemList): void {
  validateSecretName(source, problems)
  problems.at('mountPath').absolutePath(source.mountPath)
  problems.at('mode').integer(source.mode, { min: 0, max: 0o777 })
  for (const [key, name] of Object.entries(source.keyToFile)) {
    problems.at('keyToFile', key).addIf(problemWithFileName(name))
  }
}

function validateSecretName(
  source: { readonly secretName: string; readonly namespace: string },
  problems: ProblemList,
): void {
  problems.at('secretName').addIf(problemWithSubdomain(source.secretName))
  if (source.namespace !== '') problems.at('namespace').addIf(problemWithLabel(source.namespace))
}

function problemWithFileName(name: string): string | undefined {
  if (name === '' || name === '.' || name === '..' || name.length > 255 || /[/\0]/.test(name)) {
    return 'must be a file name of 1 to 255 characters without "/"'
  }
  return undefined
}

function trimmed(path: string): string {
  return path.replaceAll(/\/+/g, '/').replace(/(.)\/$/, '$1')
}
