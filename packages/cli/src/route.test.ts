import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entries } from './catalog.ts'
import { route } from './route.ts'

const cases: readonly (readonly [line: string, verb: string, words: string])[] = [
  ['node list', 'node list', ''],
  ['nodes ls -o wide', 'node list', '-o wide'],
  ['-o json --context home no get a', 'node get', '-o json --context home a'],
  ['wl create web --image node', 'workload create', 'web --image node'],
  ['get nodes', 'node list', ''],
  ['get nodes -z zone-a -l a=b', 'node list', '-z zone-a -l a=b'],
  ['get node a', 'node get', 'a'],
  ['get workload web -n prod', 'workload get', 'web -n prod'],
  ['get replicas web', 'workload replicas', 'web'],
  ['get events --since 1h', 'events', '--since 1h'],
  ['describe workload web', 'workload describe', 'web'],
  ['delete workload web', 'workload delete', 'web'],
  ['delete node a', 'node remove', 'a'],
  ['delete token jt-1', 'token revoke', 'jt-1'],
  ['delete -f web.yaml', 'delete', '-f web.yaml'],
  ['create token --ttl 1h', 'token create', '--ttl 1h'],
  ['scale web --replicas 3', 'workload scale', 'web --replicas 3'],
  ['scale workload web --replicas 3', 'workload scale', 'web --replicas 3'],
  ['autoscale web --max 9', 'workload autoscale', 'web --max 9'],
  ['drain node a', 'node drain', 'a'],
  ['drain node', 'node drain', 'node'],
  ['logs node', 'workload logs', 'node'],
  ['exec web -- node list', 'workload exec', 'web -- node list'],
  ['vrn', 'vrn show', ''],
  ['vrn --by zone -o json', 'vrn show', '--by zone -o json'],
  ['pool fragments', 'vrn fragments', ''],
  ['workload rollout status web', 'workload rollout status', 'web'],
  ['wl rollout undo web --to-revision 2', 'workload rollout undo', 'web --to-revision 2'],
  ['rollout history web', 'workload rollout history', 'web'],
  ['-n prod rollout pause web', 'workload rollout pause', '-n prod web'],
  ['workload status web', 'workload status', 'web'],
  ['explain web', 'workload explain', 'web'],
  ['explain workload web', 'workload explain', 'web'],
  ['explain -f web.yaml', 'workload explain', '-f web.yaml'],
  ['apply -f - -R', 'apply', '-f - -R'],
]

for (const [line, verb, words] of cases) {
  test(`"${line}" means ${verb}`, () => {
    const found = route(line.split(' '))
    assert.equal(found.kind, 'verb')
    if (found.kind !== 'verb') return
    assert.deepEqual([found.entry.name, found.words.join(' ')], [verb, words])
  })
}

test('what is no command says the nearest, or what there is', () => {
  const problem = (line: string): string => {
    const found = route(line.split(' '))
    return found.kind === 'unknown' ? found.problem : found.kind
  }
  assert.match(problem('nod list'), /Did you mean "node"\?/)
  assert.match(problem('node drainn'), /Did you mean "drain"\?/)
  assert.match(problem('token frobnicate'), /There are create, list, revoke\./)
  assert.match(problem('rollout undoo'), /Did you mean "undo"\?/)
  assert.match(problem('workload rolout'), /Did you mean "rollout"\?/)
  assert.equal(problem('workload'), 'group')
  assert.equal(problem('workload rollout'), 'group')
  assert.equal(problem('rollout'), 'group')
  assert.equal(problem('vrn --help'), 'group')
  assert.equal(problem('--version'), 'root')
})

test('every name in the catalog is one verb', () => {
  const names = entries.map(({ name }) => name)
  assert.equal(new Set(names).size, names.length)
})
