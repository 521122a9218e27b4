import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { NodeView, SpreadTopology, Verdict } from '@cloudless/scheduler'
import { rejectionsOf, summaryOf, verdictMessages } from './explanation.ts'

/** Reads "pi-a zone-a 0.71 0; pi-b zone-b no: not enough memory", so that each case stays one legible line. */
function parse(text: string): { verdicts: Verdict[]; findNode: (id: string) => NodeView } {
  const nodes = new Map<string, NodeView>()
  const verdicts = text
    .split('; ')
    .filter(Boolean)
    .map((one): Verdict => {
      const [name, zone, verdict, rest] = /^(\S+) (\S+) (\S+) ?(.*)$/.exec(one)!.slice(1)
      const nodeId = `node-${name}`
      nodes.set(nodeId, { name: name!, zone: zone!, region: 'home' } as NodeView)
      if (verdict === 'no:') return { kind: 'rejected', nodeId, filter: 'some', reason: rest! }
      const terms = [{ name: 'cost', value: 50, weight: 0.15, contribution: 0.075 }] as const
      return {
        kind: 'feasible',
        nodeId,
        score: Number(verdict),
        terms,
        replicasInPlace: Number(rest),
      }
    })
  return { verdicts, findNode: (id) => nodes.get(id)! }
}

const three = 'pi-kitchen zone-a 0.71 0; pi-b zone-b 0.8 1; pi-c zone-c 0.6 1'

describe('a summary', () => {
  for (const [property, on, text, expected, topology = 'zone'] of [
    [
      'names the places that have a replica already',
      'pi-kitchen',
      three,
      'runs on pi-kitchen, the best of 3 nodes that could take it (score 0.71); ' +
        'zone-b and zone-c have a replica already',
    ],
    [
      'says no more of places where nothing is kept apart',
      'pi-kitchen',
      three,
      'runs on pi-kitchen, the best of 3 nodes that could take it (score 0.71)',
      '',
    ],
    [
      'counts the replicas where there are more, and says what the place is',
      'a',
      'a attic 0.5 1; b cellar 0.6 2; c kitchen 0.6 2',
      'runs on a, the best of 3 nodes that could take it (score 0.50); ' +
        'zones cellar and kitchen have 2 replicas each already',
    ],
    [
      'does not list every place of a large cluster',
      'a',
      'a a 0.5 0; b b 0.6 1; c c 0.6 1; d d 0.6 1; e e 0.6 1; f f 0.6 1',
      'runs on a, the best of 6 nodes that could take it (score 0.50); ' +
        'b, c and 3 more have a replica already',
      'node',
    ],
    [
      'says when there was no choice',
      'a',
      'a z 0.5 0; b z no: cordoned',
      'runs on a, the only one of 2 nodes that could take it (score 0.50)',
    ],
    [
      'says what would be chosen now',
      'b',
      'a z 0.75 0; b z 0.5 0',
      'runs on b (score 0.50); a would be chosen now (score 0.75), and what has a place is not moved for that',
    ],
    [
      'says so too where packing would choose the lower score',
      'b',
      'a z 0.70 0; b z 0.72 0',
      'runs on b (score 0.72); a would be chosen now (score 0.70), and what has a place is not moved for that',
    ],
    [
      'takes nodes that are equally good for that',
      'b',
      'a z 0.5 0; b z 0.5 0',
      'runs on b, the best of 2 nodes that could take it (score 0.50)',
    ],
    [
      'says why it is not the one with the highest score',
      'a',
      'a z 0.70 0; b z 0.72 0; c y 0.8 1',
      'runs on a, the best of 3 nodes that could take it (score 0.70); ' +
        'scores this near are equal, and binpack prefers it; zone y has a replica already',
    ],
    [
      'says so too when it is for the replicas on the nodes',
      'a',
      'a z 0.5 0; b z 0.9 0',
      'runs on a, the best of 2 nodes that could take it (score 0.50); ' +
        'those with a higher score have more of its replicas',
    ],
    [
      'says when its node would refuse it now',
      'b',
      'a z 0.75 0; b z no: draining',
      'runs on b, which would not take it now: draining',
    ],
    [
      'gives the reasons of a replica that waits, the most common first',
      '',
      'a z no: tainted gpu=only; b z no: not enough memory; c z no: not enough memory',
      'waits: 0 of 3 nodes: 2 not enough memory, 1 tainted gpu=only',
    ],
    ['says when there are no nodes', '', '', 'waits: there are no nodes'],
    [
      'says when it only waits for its turn',
      '',
      'a z 0.5 0',
      'waits to be placed; a could take it now',
    ],
  ] as [string, string, string, string, SpreadTopology?][]) {
    it(property, () => {
      const { verdicts, findNode } = parse(text)
      const replica = {
        verdicts,
        nodeId: on === '' ? '' : `node-${on}`,
        verb: 'runs on',
        waiting: 'waits',
        spreadTopology: topology,
        packing: 'binpack',
        tolerance: 0.05,
      } as const
      assert.equal(summaryOf(replica, findNode), expected)
    })
  }

  it('names a node that has left by its id', () => {
    const replica = {
      verdicts: [],
      nodeId: 'node-x',
      verb: 'was on',
      waiting: '',
      spreadTopology: '',
    }
    assert.equal(
      summaryOf(replica as never, () => undefined),
      'was on node-x',
    )
  })
})

describe('verdicts', () => {
  it('keep their order, their numbers and who was chosen', () => {
    const { verdicts, findNode } = parse(`${three}; pi-d zone-d no: cordoned`)
    const messages = verdictMessages(verdicts, 'node-pi-c', findNode)
    assert.deepEqual(
      messages.map(({ nodeName, score, chosen, reason, replicasInPlace }) =>
        [nodeName, score, chosen, reason, replicasInPlace].join(' '),
      ),
      [
        'pi-kitchen 0.71 false  0',
        'pi-b 0.8 false  1',
        'pi-c 0.6 true  1',
        'pi-d 0 false cordoned 0',
      ],
    )
    const [term] = messages[0]!.terms
    assert.deepEqual(
      [term!.name, term!.value, term!.weight, term!.contribution],
      ['cost', 50, 0.15, 0.075],
    )
    assert.equal(messages[3]!.filter, 'some')
  })

  it('that refuse are counted by reason, ties by name', () => {
    const { verdicts } = parse('a z no: b; b z no: a; c z 0.1 0; d z no: c; e z no: c')
    assert.deepEqual(
      rejectionsOf(verdicts).map(({ reason, nodeCount }) => `${nodeCount} ${reason}`),
      ['2 c', '1 a', '1 b'],
    )
  })
})
