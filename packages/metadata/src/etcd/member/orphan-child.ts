/** The process that etcd-member.integration.test.ts kills: it runs a member, and says which process that is. */
import { readFileSync } from 'node:fs'
import { systemClock, systemRandom } from '@cloudless/base'
import type { MemberCredentials } from './certificate.ts'
import { startEtcdMember } from './etcd-member.ts'
import type { EtcdMemberOptions } from './member-options.ts'

const { issued, ...options } = JSON.parse(
  readFileSync(process.argv[2]!, 'utf8'),
) as EtcdMemberOptions & { readonly issued: MemberCredentials }

const member = await startEtcdMember(
  { clock: systemClock, random: systemRandom, log: () => undefined },
  {
    ...options,
    credentials: async () => issued,
    planRenewal: () => ({ kind: 'wait', delayMs: 60_000 }),
  },
)
process.stdout.write(`${member.pid}\n`)
