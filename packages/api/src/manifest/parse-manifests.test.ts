import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { create, equals, type DescMessage } from '@bufbuild/protobuf'
import * as fc from 'fast-check'
import { stringify } from 'yaml'
import {
  AffinityType,
  ImagePullPolicy,
  RestartPolicyKind,
  RolloutStrategyKind,
  SecurityProfileType,
  WorkloadSchema,
  WorkloadSpecSchema,
  type Workload,
} from '../gen/cloudless/v1/workload_pb.ts'
import { defaultWorkload } from '../workload/default-workload.ts'
import { manifestKeyOf } from './convert.ts'
import { formatManifest } from './format-manifest.ts'
import { formatManifestProblem, parseManifests } from './parse-manifests.ts'
import { manifestJsonSchema, manifestSchema } from './schema.ts'

const head = 'apiVersion: cloudless/v1\nkind: Workload\nmetadata: {name: web}\n'

function workloadOf(text: string): Workload {
  const parsed = parseManifests(text)
  assert.equal(parsed.kind, 'ok', JSON.stringify(parsed.kind === 'invalid' && parsed.problems))
  return parsed.kind === 'ok' ? parsed.documents[0]!.workload : assert.fail()
}

function problemsOf(text: string): string[] {
  const parsed = parseManifests(text, { fileName: 'f' })
  return parsed.kind === 'invalid' ? parsed.problems.map(formatManifestProblem) : []
}

describe('examples', () => {
  const folder = join(import.meta.dirname, '../../../../examples/workloads')
  for (const file of readdirSync(folder)) {
    it(`${file} is read, and once more after being written`, () => {
      const workload = workloadOf(readFileSync(join(folder, file), 'utf8'))
      assert.equal(workload.name, file.replace('.yaml', ''))
      const again = workloadOf(stringify(formatManifest(workload)))
      assert.ok(equals(WorkloadSchema, again, workload))
    })
  }

  it('simple-web is three replicas of the local image, spread over nodes', () => {
    const { spec } = workloadOf(readFileSync(join(folder, 'simple-web.yaml'), 'utf8'))
    assert.equal(spec?.image, 'cloudless.local/simple-web:1')
    assert.equal(spec.imagePullPolicy, ImagePullPolicy.IF_NOT_PRESENT)
    assert.equal(spec.replicas, 3)
    assert.equal(spec.readinessProbe?.initialDelayMs, 0n)
    assert.equal(spec.readinessProbe.periodMs, 2_000n)
    assert.equal(spec.placement?.spreadTopology, 'node')
    assert.equal(spec.rollout?.minAvailable, 2)
    assert.equal(spec.resources?.requests?.memoryBytes, 33_554_432n)
  })
})

describe('a manifest', () => {
  it('says the same in snake_case, camelCase and JSON', () => {
    const snake = workloadOf(
      `${head}spec: {image: a, restart_policy: {policy: ON_FAILURE, backoff: 30s}, env: {snake_key: 1}}`,
    )
    const camel = workloadOf(
      `${head}spec: {image: a, restartPolicy: {policy: OnFailure, backoff: 30000}, env: {snake_key: "1"}}`,
    )
    const json = workloadOf(JSON.stringify(formatManifest(snake), undefined, '\t'))
    assert.ok(equals(WorkloadSchema, snake, camel))
    assert.ok(equals(WorkloadSchema, snake, json))
  })

  it('says how replicas are placed, in either spelling', () => {
    const snake = workloadOf(
      `${head}spec: {image: a, placement: {packing: best_fit, score_weights: {reliability: 2, network_penalty: 0.5}, ` +
        'topology_spread: [{topology_key: zone, max_skew: 2, min_domains: 3, required: true}]}}',
    )
    const camel = workloadOf(
      `${head}spec: {image: a, placement: {packing: best_fit, scoreWeights: {reliability: 2, networkPenalty: 0.5}, ` +
        'topologySpread: [{topologyKey: zone, maxSkew: 2, minDomains: 3, required: true}]}}',
    )
    assert.ok(equals(WorkloadSchema, snake, camel))
    const { placement } = snake.spec!
    assert.equal(placement?.packing, 'best_fit')
    assert.equal(placement.scoreWeights?.networkPenalty, 0.5)
    assert.equal(placement.topologySpread[0]?.minDomains, 3)
    const again = workloadOf(stringify(formatManifest(snake)))
    assert.ok(equals(WorkloadSchema, again, snake))
  })

  it('keeps the keys and the text of maps as they are written', () => {
    const { spec } = workloadOf(
      `${head}spec:\n  image: a\n  env: {camelKey: 1.10, B: 0x10, C: yes}\n`,
    )
    assert.deepEqual({ ...spec!.env }, { camelKey: '1.10', B: '0x10', C: 'yes' })
  })

  for (const [written, millicores] of [
    ['cpu: 500m', 500],
    ['cpu: 0.5', 500],
    ['cpu: "0.5"', 500],
    ['cpu: 2', 2_000],
    ['cpu_millicores: 250', 250],
    ['cpuMillicores: 250m', 250],
  ] as const) {
    it(`reads ${written} as ${millicores} thousandths of a core`, () => {
      const { spec } = workloadOf(`${head}spec: {image: a, resources: {requests: {${written}}}}`)
      assert.equal(spec?.resources?.requests?.cpuMillicores, millicores)
    })
  }

  for (const [written, mode] of [
    ['0400', 0o400],
    ['"0400"', 0o400],
    ['0o440', 0o440],
    ['256', 0o400],
  ] as const) {
    it(`reads the mode ${written} as ${mode.toString(8)} octal`, () => {
      const source = `{secret_name: s, mount_path: /s, mode: ${written}}`
      const { spec } = workloadOf(`${head}spec: {image: a, secret_volumes: [${source}]}`)
      assert.equal(spec?.secretVolumes[0]?.mode, mode)
    })
  }

  it('has one replica when it does not say, and none when it says none', () => {
    assert.equal(workloadOf(`${head}spec: {image: a}`).spec?.replicas, 1)
    assert.equal(workloadOf(`${head}spec: {image: a, replicas: 0}`).spec?.replicas, 0)
  })

  it('may stand with others in a file, and with empty documents', () => {
    const parsed = parseManifests(
      `---\n# a\n---\n${head}spec: {image: a}\n---\n${head}spec: {image: b}\n`,
    )
    assert.equal(parsed.kind, 'ok')
    if (parsed.kind === 'ok')
      assert.deepEqual(
        parsed.documents.map(({ line }) => line),
        [4, 9],
      )
  })
})

describe('a problem', () => {
  for (const [property, text, ...expected] of [
    ['is an empty file', '# nothing', 'f:1:1: the document has no manifest in it'],
    [
      'of shape is named with its line',
      `${head}spec:\n  imag: a\n  replicas: "3"\n  ports:\n  - containrPort: 8\n`,
      'f:4:1: spec.image must be given',
      'f:5:3: spec.imag is not a known key; did you mean "image"?',
      'f:6:3: spec.replicas must be a number',
      'f:8:5: spec.ports[0].containrPort is not a known key; did you mean "container_port"?',
    ],
    [
      'of meaning is named as the manifest writes it',
      `${head}spec:\n  image: a\n  restartPolicy:\n    backoff: 10m\n  env:\n    1A: x\n`,
      'f:9:5: spec.env["1A"] must be a name of letters, digits, "_", "." and "-" that does not start with a digit',
      'f:7:5: spec.restart_policy.backoff must be from 0 to 300000, not 600000',
    ],
    [
      'is a key given twice, in either spelling',
      `${head}spec:\n  image: a\n  hostPort: 1\n  workingDir: /\n  working_dir: /\n`,
      'f:6:3: spec.hostPort is not a known key',
      'f:8:3: spec.working_dir is given twice ("working_dir")',
    ],
    [
      'is another kind',
      `apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {image: a}\n`,
      /api_version/,
      /kind/,
    ],
    [
      'is broken syntax',
      `${head}spec: {image: "a\n`,
      /^f:\d+:\d+: the document is not well-formed/,
      /sufficiently indented/,
    ],
    ['is an unknown anchor', `${head}spec: {image: *a}\n`, /anchor|alias/i, /image/],
    [
      'is a list that holds itself',
      `${head}spec: {image: a, args: &x [*x]}\n`,
      /deeper than 64/,
      /text/,
    ],
    [
      'is a document over 1 MiB',
      `${head}spec: {image: a, args: ["${'x'.repeat(1_100_000)}"]}`,
      /too large/,
    ],
    [
      'is text that is not Unicode',
      `${head}spec: {image: a, args: ["\\ud800"]}`,
      /Unicode/,
      /args/,
    ],
    ['is a number out of range', `${head}spec: {image: a, replicas: 1e12}`, /at most 2147483647/],
    [
      'is a size beyond sense',
      `${head}spec: {image: a, resources: {limits: {memory: 9999999Ti}}}`,
      /memory_bytes/,
    ],
    [
      'is a limit without its unit',
      `${head}spec: {image: a, resources: {limits: {memory: 512}}}`,
      /unit missing/,
    ],
  ] as [string, string, ...(string | RegExp)[]][]) {
    it(property, () => {
      const problems = problemsOf(text)
      assert.equal(problems.length, expected.length, problems.join('\n'))
      const sorted = expected.every((one) => typeof one === 'string')
        ? expected.toSorted()
        : expected
      for (const [index, one] of sorted.entries()) {
        if (typeof one === 'string') assert.equal(problems[index], one)
        else assert.match(problems[index]!, one)
      }
    })
  }
})

describe('the schema', () => {
  it('has a key for every field of the contract, and no other', () => {
    compare(WorkloadSpecSchema, (manifestJsonSchema()['properties'] as Shapes)['spec']!, 'spec')
    assert.equal(manifestSchema.shape.kind.value, 'Workload')
  })

  interface Shape {
    readonly $ref?: string
    readonly properties?: Shapes
    readonly items?: Shape
  }
  type Shapes = Readonly<Record<string, Shape>>
  const shortNames = ['cpu', 'memory', 'storage']

  function compare(desc: DescMessage, shape: Shape, path: string): void {
    const definitions = manifestJsonSchema()['$defs'] as Shapes
    const resolved = (one: Shape): Shape =>
      one.$ref === undefined ? one : definitions[one.$ref.split('/').at(-1)!]!
    const properties = resolved(shape).properties ?? {}
    const keys = Object.keys(properties).filter((key) => !shortNames.includes(key))
    assert.deepEqual(keys.toSorted(), desc.fields.map(manifestKeyOf).toSorted(), path)
    for (const field of desc.fields) {
      const below = resolved(properties[manifestKeyOf(field)]!)
      if (field.fieldKind === 'message') compare(field.message, below, `${path}.${field.name}`)
      if (field.fieldKind === 'list' && field.listKind === 'message') {
        compare(field.message, below.items!, `${path}.${field.name}[]`)
      }
    }
  }
})

describe('every workload', () => {
  it('comes back the same from its manifest', () => {
    fc.assert(
      fc.property(workloads, (workload) => {
        for (const one of [workload, defaultWorkload(workload)]) {
          const parsed = parseManifests(stringify(formatManifest(one)))
          assert.equal(
            parsed.kind,
            'ok',
            JSON.stringify(parsed.kind === 'invalid' && parsed.problems),
          )
          if (parsed.kind === 'ok') {
            assert.ok(equals(WorkloadSchema, parsed.documents[0]!.workload, one))
          }
        }
      }),
      { numRuns: 60 },
    )
  })
})

const name = fc.stringMatching(/^[a-z]([a-z0-9-]{0,10}[a-z0-9])?$/)
const labels = fc.dictionary(name, name, { maxKeys: 3, noNullPrototype: true })
const texts = fc.dictionary(name, fc.string({ unit: 'binary', maxLength: 30 }), {
  maxKeys: 3,
  noNullPrototype: true,
})
const milliseconds = fc.integer({ min: 0, max: 300_000 }).map(BigInt)
const port = fc.integer({ min: 1, max: 65_535 })
const capacity = fc.record({
  cpuMillicores: fc.integer({ min: 0, max: 64_000 }),
  memoryBytes: fc.bigInt({ min: 1_048_576n, max: 2n ** 40n }),
  bandwidthBps: fc.bigInt({ min: 0n, max: 10n ** 10n }),
  gpuCount: fc.integer({ min: 0, max: 8 }),
})
const probe = fc.record({
  check: fc.oneof(
    port.map((value) => ({ case: 'tcp' as const, value: { port: value } })),
    port.map((value) => ({ case: 'http' as const, value: { port: value, path: '/x' } })),
    name.map((value) => ({ case: 'exec' as const, value: { command: [value] } })),
  ),
  initialDelayMs: fc.option(milliseconds, { nil: undefined }),
  periodMs: milliseconds,
})

const workloads: fc.Arbitrary<Workload> = fc
  .record({
    name,
    namespace: name,
    labels,
    annotations: texts,
    spec: fc.record({
      image: name,
      replicas: fc.integer({ min: 0, max: 10 }),
      args: fc.array(fc.string({ maxLength: 20 }).filter((text) => !text.includes('\0'))),
      env: fc.dictionary(name, name, { maxKeys: 3, noNullPrototype: true }),
      priority: fc.integer({ min: -100, max: 100 }),
      resources: fc.oneof(
        capacity.map((requests) => ({ requests })),
        capacity.map((limits) => ({ limits, pidsLimit: 7 })),
      ),
      terminationGraceMs: milliseconds,
      imagePullPolicy: fc.constantFrom(ImagePullPolicy.UNSPECIFIED, ImagePullPolicy.NEVER),
      restartPolicy: fc.record({
        policy: fc.constantFrom(RestartPolicyKind.UNSPECIFIED, RestartPolicyKind.ON_FAILURE),
        backoffMs: milliseconds,
      }),
      rollout: fc.record({
        strategy: fc.constantFrom(RolloutStrategyKind.RECREATE, RolloutStrategyKind.BLUE_GREEN),
        minAvailable: fc.option(fc.integer({ min: 0, max: 9 }), { nil: undefined }),
      }),
      livenessProbe: fc.option(probe, { nil: undefined }),
      placement: fc.record({
        nodeSelector: labels,
        affinity: fc.array(
          fc.record({
            type: fc.constantFrom(AffinityType.NODE, AffinityType.WORKLOAD),
            matchLabels: name.map((key) => ({ [key]: 'x' })),
            required: fc.boolean(),
          }),
          { maxLength: 2 },
        ),
      }),
      securityContext: fc.record({
        runAsUser: fc.option(fc.bigInt({ min: 1n, max: 65_535n }), { nil: undefined }),
        linux: fc.constant({
          seccompProfile: { type: SecurityProfileType.RUNTIME_DEFAULT },
          supplementalGroups: [1n, 2n],
        }),
      }),
      volumes: fc.uniqueArray(
        name.map((name) => ({
          name,
          source: 'configMap',
          mountPath: `/${name}`,
          options: { file: name },
        })),
        { selector: (volume) => volume.name, maxLength: 2 },
      ),
    }),
  })
  .map((init) => create(WorkloadSchema, init as never))
