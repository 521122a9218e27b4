/** A workload without replicas as a register: a variable of its spec is the value, its revision counts the writes. */
import type { Workload } from '@cloudless/api'
import type { ApiClient } from '../api-client.ts'
import type { RegisterState } from './register-model.ts'

type WorkloadInit = NonNullable<Parameters<ApiClient['updateWorkload']>[0]['workload']>

export const initialRegister: RegisterState = { value: 'first', revision: 1 }

const variable = 'VALUE'

/** Written whatever is there now. */
export function registerOf(name: string, value: string): WorkloadInit {
  return { name, spec: { image: 'register', replicas: 0, env: { [variable]: value } } }
}

/** Written only over what was read. */
export function overRead(read: Workload, value: string): WorkloadInit {
  return { ...registerOf(read.name, value), resourceVersion: read.resourceVersion }
}

export function stateOf(workload: Workload): RegisterState {
  return { value: workload.spec?.env[variable] ?? '', revision: Number(workload.revision) }
}
