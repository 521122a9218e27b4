/** The bench's side of a process full of hollow agents. */
import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { FromHollow, ToHollow } from './hollow-agents.ts'

export function forkHollowAgents(): ChildProcess {
  return fork(join(import.meta.dirname, 'hollow-agents.ts'), {
    serialization: 'advanced',
    execArgv: ['--max-semi-space-size=32', ...process.execArgv],
  })
}

export function tell(agents: ChildProcess, message: ToHollow): void {
  agents.send(message)
}

/** Resolves with the next message of that kind; rejects when the agents end or cannot go on. */
export function hear<Kind extends FromHollow['kind']>(
  agents: ChildProcess,
  kind: Kind,
): Promise<FromHollow & { readonly kind: Kind }> {
  return new Promise((resolve, reject) => {
    const onExit = (): void => reject(new Error('the hollow agents ended'))
    const onMessage = (message: FromHollow): void => {
      if (message.kind !== kind && message.kind !== 'ended') return
      agents.off('message', onMessage)
      agents.off('exit', onExit)
      if (message.kind === 'ended') reject(new Error(message.reason))
      else resolve(message as FromHollow & { readonly kind: Kind })
    }
    agents.on('message', onMessage)
    agents.once('exit', onExit)
  })
}
