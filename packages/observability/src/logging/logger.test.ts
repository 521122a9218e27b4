import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CloudlessError, systemClock } from '@cloudless/base'
import { runWithContext } from '../context.ts'
import { createLogger } from './logger.ts'

const clock = { ...systemClock, wallMs: () => Date.UTC(2026, 10, 20, 12) }

function record(level?: string, format: 'json' | 'console' = 'json') {
  const lines: string[] = []
  const options = { name: 'coordinator', format, ...(level === undefined ? {} : { level }) }
  const logger = createLogger(options, { clock, write: (line) => void lines.push(line) })
  return { lines, logger, parsed: () => lines.map((line) => JSON.parse(line) as object) }
}

describe('the logger', () => {
  it('writes one JSON object a line: time, level, logger, message, fields', () => {
    const { logger, parsed } = record()
    logger.info({ node: 'a' }, 'node joined')
    assert.deepEqual(parsed(), [
      {
        level: 'info',
        timestamp: '2026-11-20T12:00:00.000Z',
        logger: 'coordinator',
        node: 'a',
        message: 'node joined',
      },
    ])
  })

  it('adds the ids of the context that the line was written in', async () => {
    const { logger, lines } = record()
    await runWithContext({ requestId: 'r-1', correlationId: 'c-1' }, async () => {
      await Promise.resolve()
      runWithContext({ nodeId: 'n-1' }, () => logger.info({}, 'x'))
    })
    logger.info({}, 'outside')
    assert.match(lines[0]!, /"requestId":"r-1","correlationId":"c-1","nodeId":"n-1"/)
    assert.doesNotMatch(lines[1]!, /r-1/)
  })

  it('names children after their parents and gives them their fields', () => {
    const { logger, parsed } = record()
    logger.child('api', { port: 1 }).child('calls').warn({}, 'x')
    const [line] = parsed() as Record<string, unknown>[]
    assert.equal(line?.['logger'], 'coordinator.api.calls')
    assert.equal(line?.['port'], 1)
  })

  it('writes no secret, in fields, children, errors or messages', () => {
    const { logger, lines } = record()
    const secret = 'hunter2hunter2'
    logger
      .child('x', { password: secret })
      .error(
        { joinToken: secret, error: new Error(`Bearer ${secret}`), nested: { privateKey: secret } },
        `sent Bearer ${secret}`,
      )
    assert.doesNotMatch(lines.join(''), /hunter2/)
  })

  it('keeps to its level, by name, and takes no name that is none', () => {
    const { logger, lines } = record('warn')
    logger.info({}, 'quiet')
    logger.warn({}, 'loud')
    assert.equal(lines.length, 1)
    logger.setLevel('debug')
    logger.debug({}, 'now')
    assert.equal(lines.length, 2)
    for (const level of ['verbose', 'WARN', '']) {
      assert.throws(
        () => record(level),
        (reason) =>
          reason instanceof CloudlessError &&
          reason.code === 'invalid_argument' &&
          /debug, info/.test(reason.message),
      )
    }
  })

  it('writes lines for people on a console', () => {
    const { logger, lines } = record('info', 'console')
    logger.warn({ node: 'a', reason: 'two words' }, 'node left')
    assert.equal(lines[0], '12:00:00.000 WARN  coordinator node left node=a reason="two words"\n')
  })
})
