import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { stringify } from 'yaml'
import { parseInput } from '../parse.ts'
import { nodeList } from '../commands/node-list.ts'
import { knownCoordinators, rememberCoordinators } from './known-coordinators.ts'
import { loadSettings } from './settings.ts'

function setUp(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'cloudless-known-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const configPath = join(directory, 'config.yaml')
  const contexts = [
    { name: 'home', coordinator: '10.0.0.1:8080' },
    { name: 'work', coordinator: '10.9.0.1:8080' },
  ]
  writeFileSync(configPath, stringify({ current_context: 'home', contexts }))
  const coordinatorsOf = async (...words: string[]) => {
    const { options } = parseInput(nodeList, ['--config', configPath, ...words])
    return (await loadSettings(options, {}, directory)).coordinators
  }
  return { directory, configPath, coordinatorsOf }
}

const told = ['10.0.0.3:8080', '10.0.0.1:8080', '10.0.0.2:8080']

test('what one context was told is tried after its own address, and by no other context', async (t) => {
  const { configPath, coordinatorsOf } = setUp(t)
  rememberCoordinators({ configPath, contextName: 'home' }, told)
  assert.deepEqual(await coordinatorsOf(), ['10.0.0.1:8080', '10.0.0.2:8080', '10.0.0.3:8080'])
  assert.deepEqual(await coordinatorsOf('--context', 'work'), ['10.9.0.1:8080'])
})

test('an address that is given for this time is the only one', async (t) => {
  const { configPath, coordinatorsOf } = setUp(t)
  rememberCoordinators({ configPath, contextName: 'home' }, told)
  assert.deepEqual(await coordinatorsOf('--coordinator', '10.0.0.2'), ['10.0.0.2:8080'])
})

test('a coordinator that is gone is forgotten, and the same list is not written again', (t) => {
  const { configPath, directory } = setUp(t)
  const place = { configPath, contextName: 'home' }
  rememberCoordinators(place, told)
  const path = join(directory, 'config.coordinators.json')
  const { ino } = statSync(path)
  rememberCoordinators(place, told.toReversed())
  assert.equal(statSync(path).ino, ino)
  rememberCoordinators(place, told.slice(0, 2))
  assert.deepEqual(knownCoordinators(place), ['10.0.0.1:8080', '10.0.0.3:8080'])
})

test('a file that is damaged, or cannot be written, hurts nobody', (t) => {
  const { configPath, directory } = setUp(t)
  const place = { configPath, contextName: undefined }
  for (const content of ['{', '[]', '{"": "10.0.0.1"}', '{"": [1]}', 'null']) {
    writeFileSync(join(directory, 'config.coordinators.json'), content)
    assert.deepEqual(knownCoordinators(place), [])
  }
  rememberCoordinators({ ...place, configPath: join(directory, 'nowhere', 'config.yaml') }, told)
  assert.deepEqual(readdirSync(directory).toSorted(), ['config.coordinators.json', 'config.yaml'])
})
