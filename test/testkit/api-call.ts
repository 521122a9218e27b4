/** A call straight to the API, past the CLI and its checks: JSON over HTTP, with the operator's certificate. */
import { join } from 'node:path'
import type { Cluster } from './cluster.ts'
import { runCommand } from './command.ts'

export interface ApiAnswer {
  /** HTTP status; 0 when there was no answer within 10 s. */
  readonly status: number
  readonly body: string
}

/** `method` is one of CoordinatorService: "ListNodes". `body` is sent as it is. */
export async function callApi(
  cluster: Cluster,
  method: string,
  body: string | Uint8Array,
  contentType = 'application/json',
): Promise<ApiAnswer> {
  const credentials = join(cluster.directory, 'operator')
  const result = await runCommand(
    [
      ...['curl', '-s', '--tlsv1.3', '--insecure', '--max-time', '10', '-w', '\n%{http_code}'],
      ...['--cert', join(credentials, 'cert.pem'), '--key', join(credentials, 'key.pem')],
      ...['-H', `content-type: ${contentType}`, '--data-binary', '@-'],
      `https://${cluster.address}/cloudless.api.v1.CoordinatorService/${method}`,
    ],
    { input: body },
  )
  const lines = result.stdout.split('\n')
  return { status: Number(lines.at(-1)), body: lines.slice(0, -1).join('\n') }
}
