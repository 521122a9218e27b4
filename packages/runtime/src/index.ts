export type * from './runtime.ts'
export { createContainerdRuntime, type ContainerdRuntime } from './containerd-runtime.ts'
export type {
  ContainerdRuntimeDeps,
  ContainerdRuntimeOptions,
  RegistryCredential,
  RegistryOptions,
  RuntimeLogger,
} from './options.ts'
