/** The join token of a first start, and what can be prepared with it before the agent itself is loaded. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CloudlessError, messageOf } from '@cloudless/base'
import { prepareEnrolment, type EnrolmentMaterial } from '../membership/enrolment-material.ts'
import type { AgentSettings } from './settings.ts'

/** The token given, or what its file holds; empty when there is none. */
export function joinTokenOf(settings: AgentSettings): string {
  if (settings.join_token !== '' || settings.join_token_file === '') return settings.join_token
  try {
    return readFileSync(settings.join_token_file, 'utf8').trim()
  } catch (reason) {
    const said = `join_token_file: ${messageOf(reason)}`
    throw new CloudlessError('invalid_argument', said, { cause: reason })
  }
}

/** Undefined unless this is the first start. A process of its own makes the key meanwhile. */
export function prepareFirstStart(settings: AgentSettings): Promise<EnrolmentMaterial> | undefined {
  const token = joinTokenOf(settings)
  const identityDirectory = join(settings.data_dir, 'identity')
  if (token === '' || existsSync(join(identityDirectory, 'current'))) return undefined
  const material = prepareEnrolment({ token, identityDirectory })
  material.catch(() => undefined) // Thrown by the enrolment, which awaits it.
  return material
}
