/** Asks the other coordinators how they are. */
import { create } from '@bufbuild/protobuf'
import {
  CoordinatorSchema,
  CoordinatorService,
  fromConnectError,
  type Coordinator,
} from '@cloudless/api'
import { tlsClientOptions, type Credentials } from '@cloudless/identity'
import { createClient } from '@connectrpc/connect'
import { createConnectTransport, Http2SessionManager } from '@connectrpc/connect-node'

export interface OtherCoordinatorsDeps {
  readonly trustDomain: string
  readonly credentials: () => Promise<Credentials>
}

const askMsMax = 2_000

export interface KnownCoordinator {
  readonly id: string
  /** "host:port", tried in turn. */
  readonly addresses: readonly string[]
}

export class OtherCoordinators {
  readonly #deps: OtherCoordinatorsDeps

  constructor(deps: OtherCoordinatorsDeps) {
    this.#deps = deps
  }

  /** What it says of itself; when it does not answer, what is known, with `problem` saying why. */
  async describe(known: KnownCoordinator): Promise<Coordinator> {
    let problem = 'no address of it is known'
    for (const address of known.addresses) {
      try {
        return await this.#ask(known.id, address)
      } catch (reason) {
        problem = fromConnectError(reason, `asking ${address}`).message
      }
    }
    return create(CoordinatorSchema, { id: known.id, addresses: [...known.addresses], problem })
  }

  async #ask(id: string, address: string): Promise<Coordinator> {
    const credentials = await this.#deps.credentials()
    const baseUrl = `https://${address}`
    const { trustDomain } = this.#deps
    const sessionManager = new Http2SessionManager(
      baseUrl,
      {},
      tlsClientOptions({
        caPem: credentials.caPem,
        ...{ trustDomain, credentials, serverType: 'controller', serverId: id },
      }),
    )
    const transport = createConnectTransport({ httpVersion: '2', baseUrl, sessionManager })
    try {
      const client = createClient(CoordinatorService, transport)
      return await client.describeCoordinator({}, { timeoutMs: askMsMax })
    } finally {
      sessionManager.abort()
    }
  }
}
