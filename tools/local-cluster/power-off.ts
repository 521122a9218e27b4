/** `make power-off`: one machine of the local cluster goes, and everything on it at once. */
import { CloudlessError } from '@cloudless/base'
import { killHostProcesses } from '@cloudless/test/testkit'
import type { Settings } from './settings.ts'

export async function powerOffNode(settings: Settings, name: string): Promise<void> {
  const names = settings.agents.map((agent) => agent.name)
  if (!names.includes(name)) {
    throw new CloudlessError(
      'invalid_argument',
      `there is no machine "${name}"; say which: make power-off NODE=${names.join(' or NODE=')}`,
    )
  }
  await killHostProcesses(settings.prefix, name)
}
