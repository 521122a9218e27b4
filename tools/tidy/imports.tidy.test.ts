/** Imports point one way: ARCHITECTURE.md has the table, the package.json files and the code are held to it. */
import assert from 'node:assert/strict'
import { builtinModules } from 'node:module'
import { posix } from 'node:path'
import { test } from 'node:test'
import { importsOf, manifests, sourceFiles, type Manifest } from './sources.ts'

const packages = manifests().filter((manifest) => manifest.folder !== '')

/** Lines such as "runtime -> base api" of the block that follows the heading "Which package may import which". */
function tableOfArchitecture(): Map<string, string[]> {
  const text = sourceFiles(/^ARCHITECTURE\.md$/)[0]?.text ?? ''
  const block = /## Which package may import which[\s\S]*?```\n([\s\S]*?)```/.exec(text)?.[1] ?? ''
  const lines = block.split('\n').filter((line) => line.trim() !== '')
  return new Map(
    lines.map((line) => {
      const [name, allowed = ''] = line.split('->')
      return [name!.trim(), allowed.split(' ').filter((word) => word !== '')]
    }),
  )
}

function shortName(manifest: Manifest): string {
  return manifest.name.replace('@cloudless/', '')
}

function siblingsOf(manifest: Manifest): string[] {
  return Object.keys(manifest.dependencies)
    .filter((name) => name.startsWith('@cloudless/'))
    .map((name) => name.replace('@cloudless/', ''))
}

test('each package depends on what the table of ARCHITECTURE.md allows', () => {
  const table = tableOfArchitecture()
  for (const manifest of packages) {
    const allowed = table.get(shortName(manifest))
    assert.ok(allowed, `${manifest.name} has no line in the table of ARCHITECTURE.md`)
    const strangers = siblingsOf(manifest).filter((name) => !allowed.includes(name))
    assert.deepEqual(strangers, [], `${manifest.name} may not depend on these`)
  }
})

test('the table has no circle', () => {
  const table = tableOfArchitecture()
  const finished = new Set<string>()
  const visit = (name: string, above: readonly string[]): void => {
    assert.ok(!above.includes(name), `a circle: ${[...above, name].join(' -> ')}`)
    if (finished.has(name)) return
    for (const next of table.get(name) ?? []) visit(next, [...above, name])
    finished.add(name)
  }
  for (const name of table.keys()) visit(name, [])
})

test('a file imports only what its package declares, and never the inside of another', () => {
  const rootManifest = manifests().find((manifest) => manifest.folder === '')!
  const faults = sourceFiles(/\.(ts|mjs)$/).flatMap((file) => {
    const owner = packages.find((manifest) => file.path.startsWith(`${manifest.folder}/`))
    const isTest = /\.test\.ts$|\/test-[a-z-]+\.ts$|\/testing\.ts$|^test\/|^tools\//.test(file.path)
    const declared = new Set([
      ...Object.keys(owner?.dependencies ?? {}),
      ...(isTest ? Object.keys(rootManifest.devDependencies) : []),
      ...(isTest ? Object.keys(owner?.devDependencies ?? {}) : []),
    ])
    return importsOf(file).flatMap(({ specifier }) => {
      const fault = faultOf(specifier, file.path, owner, declared)
      return fault === undefined ? [] : [`${file.path}: ${specifier}: ${fault}`]
    })
  })
  assert.deepEqual(faults, [])
})

function faultOf(
  specifier: string,
  path: string,
  owner: Manifest | undefined,
  declared: ReadonlySet<string>,
): string | undefined {
  if (specifier.startsWith('.')) {
    const target = posix.normalize(posix.join(posix.dirname(path), specifier))
    const mayUseTestkit =
      path.endsWith('.integration.test.ts') && target.startsWith('test/testkit/')
    if (owner !== undefined && !target.startsWith(`${owner.folder}/`) && !mayUseTestkit) {
      return 'leaves its package; import the other one by its name'
    }
    return undefined
  }
  if (specifier.startsWith('node:')) return undefined
  if (builtinModules.includes(specifier)) return 'write it with node:'
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
  if (name !== owner?.name && !declared.has(name))
    return 'is not among the dependencies in package.json'
  const other = packages.find((manifest) => manifest.name === name)
  if (other !== undefined && !(specifier.replace(name, '.') in other.exports)) {
    return 'is the inside of another package'
  }
  return undefined
}

test('index.ts is the public list of its package and nothing else', () => {
  for (const file of sourceFiles(/\/index\.ts$/)) {
    const rest = file.text
      .replace(/\/\*[\s\S]*?\*\//g, '')
      .replace(/\/\/.*$/gm, '')
      .replace(/export\s+(type\s+)?(\{[^}]*\}|\*)(\s+from\s+'[^']+')?;?/g, '')
    assert.equal(rest.trim(), '', `${file.path} does more than re-export`)
  }
})
