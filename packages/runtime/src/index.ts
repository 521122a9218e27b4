export type * from './runtime.ts'
export { createContainerdRuntime, type ContainerdRuntime } from './containerd-runtime.ts'
export { removeNetwork, type ForwardingOptions } from './network/forwarding.ts'
export type {
  ContainerdRuntimeDeps,
  ContainerdRuntimeOptions,
  RegistryCredential,
  RegistryOptions,
  RuntimeLogger,
} from './options.ts'
