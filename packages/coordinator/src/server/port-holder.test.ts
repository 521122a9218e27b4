import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { explainListenFailure, findPortHolder, listeningInodes } from './port-holder.ts'

test('finds the process that listens on a port, over IPv4 and IPv6', async (t) => {
  for (const host of ['127.0.0.1', '::1']) {
    const server = createServer()
    server.listen(0, host)
    await once(server, 'listening')
    t.after(() => server.close())
    const holder = await findPortHolder((server.address() as AddressInfo).port)
    assert.equal(holder?.pid, process.pid, host)
    assert.match(holder.command, /node/)
  }
})

test('finds nobody for a free port', async () => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  assert.equal(await findPortHolder(port), undefined)
  const taken = Object.assign(new Error('taken'), { code: 'EADDRINUSE' })
  const error = await explainListenFailure(taken, { host: 'a', port, purpose: 'the API' })
  assert.match(error.message, /is taken by another process: stop that process or configure/)
})

test('reads listening sockets only, and of that port only', () => {
  const line = (port: string, state: string, inode: string) =>
    `   0: 0100007F:${port} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  0 0 ${inode} 1`
  const table = [
    'header',
    line('1F90', '0A', '1'),
    line('1F90', '01', '2'),
    line('1F91', '0A', '3'),
    '',
  ].join('\n')
  assert.deepEqual(listeningInodes(table, 0x1f90), ['1'])
  assert.deepEqual(listeningInodes('', 80), [])
})

test('says what went wrong when it was not the port', async () => {
  const reason = Object.assign(new Error('listen EACCES'), { code: 'EACCES' })
  const error = await explainListenFailure(reason, { host: 'h', port: 80, purpose: 'the API' })
  assert.equal(error.code, 'permission_denied')
  assert.match(error.message, /listening on h:80 for the API: /)
})
