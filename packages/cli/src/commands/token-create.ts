/** `token create`: what a device needs to join. */
import { JoinTokenSchema } from '@cloudless/api'
import { CloudlessError, formatDurationMs, randomId } from '@cloudless/base'
import type { Command } from '../command.ts'
import { encode, messageToJson } from '../output/encode.ts'
import { tokenScope } from '../resources/token.ts'

export const tokenCreate: Command = {
  description:
    'Makes a join token and prints it; it cannot be shown again. It carries the fingerprint of the CA, so that a\n' +
    'device knows the right coordinator before it trusts it. A token is used up after --max-uses enrolments.',
  examples: [
    { title: 'For one device, within a day', line: 'cloudlessctl token create' },
    {
      title: 'For ten devices in one zone, within an hour',
      line: 'cloudlessctl token create --ttl 1h --max-uses 10 --zone home',
    },
    {
      title: 'For another coordinator, which is started with `coordinator --join ADDR --token T`',
      line: 'cloudlessctl token create --for-coordinator',
    },
    { title: 'In a script', line: 'TOKEN=$(cloudlessctl token create --node edge-1 -q)' },
  ],
  arguments: [],
  options: [
    { name: 'ttl', kind: 'duration', help: 'How long it is good for', default: '24h' },
    { name: 'max-uses', kind: 'integer', help: 'How many devices may use it', default: '1' },
    { name: 'node', kind: 'text', value: 'NAME', help: 'Only for a node of this name' },
    {
      name: 'region',
      short: 'r',
      kind: 'text',
      value: 'REGION',
      help: 'The node joins in this region',
    },
    { name: 'zone', short: 'z', kind: 'text', value: 'ZONE', help: 'The node joins in this zone' },
    {
      name: 'for-coordinator',
      kind: 'flag',
      help: 'Lets a coordinator join, and no node: who has it can become a certificate authority of the cluster',
    },
    { name: 'description', kind: 'text', help: 'What it is for' },
    { name: 'quiet', short: 'q', kind: 'flag', help: 'Print the token and nothing else' },
  ],

  async run(context, { options }) {
    const { coordinator } = await context.connect()
    const answer = await coordinator.createJoinToken(
      {
        ttlMs: BigInt(options.durationMs('ttl')!),
        maxUses: options.integer('max-uses')!,
        nodeName: options.text('node') ?? '',
        region: options.text('region') ?? '',
        zone: options.text('zone') ?? '',
        forCoordinator: options.flag('for-coordinator'),
        description: options.text('description') ?? '',
        idempotencyKey: randomId(context.random, 24),
      },
      { signal: context.signal },
    )
    const { joinToken, token, caFingerprint } = answer
    if (joinToken === undefined) {
      throw new CloudlessError('internal', 'the coordinator made a token and did not describe it')
    }
    const { output } = context.settings
    if (options.flag('quiet')) context.io.out(`${token}\n`)
    else if (output === 'name') context.io.out(`token/${joinToken.id}\n`)
    else if (output === 'json' || output === 'yaml') {
      const described = messageToJson(JoinTokenSchema, joinToken)
      context.io.out(await encode({ joinToken: described, token, caFingerprint }, output))
    } else {
      const leftMs = Number(joinToken.expiresAtMs) - context.clock.wallMs()
      const uses = joinToken.maxUses === 1 ? 'once' : `${joinToken.maxUses} times`
      context.io.out(`${token}\n`)
      context.io.err(
        `Token ${joinToken.id} for ${tokenScope(joinToken)}, good ${uses} within ` +
          `${formatDurationMs(leftMs)}. It is not shown again.\n`,
      )
    }
    return 0
  },
}
