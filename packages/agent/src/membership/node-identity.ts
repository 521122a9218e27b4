/** Who this node is, on disk: its credentials, the request they were made with, and what the coordinator last said of it. */
import { createHash } from 'node:crypto'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { CloudlessError, writeDurablySync, type Random } from '@cloudless/base'
import {
  createCsr,
  loadCredentials,
  saveCredentials,
  setCredentialsAside,
  type Credentials,
  type LoadedCredentials,
} from '@cloudless/identity'

/** What a start without a coordinator needs to know. */
export interface NodeFacts {
  readonly nodeId: string
  readonly nodeName: string
  /** Empty until the coordinator has given one. */
  readonly podCidr: string
  /** "host:port" of every coordinator last heard of. */
  readonly coordinators: readonly string[]
}

export interface NodeIdentity {
  readonly directory: string
  credentials(): LoadedCredentials | undefined
  saveCredentials(credentials: Credentials): LoadedCredentials
  /** The CSR of the node's key; the key does not change, so neither does it. */
  csrPem(keyPem: string): Promise<string>
  keepCsr(keyPem: string, csrPem: string): void
  facts(): NodeFacts | undefined
  /** Written only when they have changed. */
  saveFacts(facts: NodeFacts): void
  /** The membership has ended: nothing here is used again. */
  setAside(): void
}

export function openNodeIdentity(random: Random, dataDirectory: string): NodeIdentity {
  const directory = join(dataDirectory, 'identity')
  const csrPath = join(directory, 'csr.pem')
  const factsPath = join(directory, 'node.json')
  const keepCsr = (keyPem: string, csrPem: string): void =>
    writeDurablySync(csrPath, keyMark(keyPem) + csrPem)
  return {
    directory,
    credentials: () => loadCredentials(directory),
    saveCredentials(credentials) {
      saveCredentials(random, directory, credentials)
      const loaded = loadCredentials(directory)
      if (loaded !== undefined) return loaded
      throw new CloudlessError(
        'corrupt_data',
        `the credentials just written to ${directory} are gone`,
      )
    },
    async csrPem(keyPem) {
      const kept = readText(csrPath)
      if (kept !== undefined && kept.startsWith(keyMark(keyPem))) return kept.slice(markLength)
      // Kept, because making it loads the X.509 library: 10 MB that a running agent does without.
      const csr = await createCsr(keyPem)
      keepCsr(keyPem, csr)
      return csr
    },
    keepCsr,
    facts() {
      const text = readText(factsPath)
      try {
        return text === undefined ? undefined : (JSON.parse(text) as NodeFacts)
      } catch {
        return undefined // The next welcome writes it anew.
      }
    },
    saveFacts(facts) {
      const text = JSON.stringify(facts)
      if (text !== readText(factsPath)) writeDurablySync(factsPath, text)
    },
    setAside() {
      setCredentialsAside(directory)
      rmSync(factsPath, { force: true })
      rmSync(csrPath, { force: true })
    },
  }
}

const markLength = 17

/** Ties the kept request to its key: 16 characters and a line break. */
function keyMark(keyPem: string): string {
  return `${createHash('sha256')
    .update(keyPem)
    .digest('hex')
    .slice(0, markLength - 1)}\n`
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined // Absent: the caller makes it.
  }
}
