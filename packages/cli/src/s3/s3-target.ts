/** Where in an object store something goes, and with which credentials: the usual AWS_* variables. Pure. */
import type { Environment } from '../environment.ts'
import { UsageError } from '../exit-code.ts'

export interface S3Target {
  /** Of the object, without a query. */
  readonly url: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string | undefined
}

/** Undefined when `text` is no s3:// address. Throws UsageError for what is missing. */
export function parseS3Target(
  text: string,
  endpoint: string | undefined,
  environment: Environment,
): S3Target | undefined {
  if (!text.startsWith('s3://')) return undefined
  const [, bucket, key] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/(.+)$/.exec(text) ?? []
  if (bucket === undefined || key === undefined) {
    throw new UsageError(`"${text}" is no s3://BUCKET/KEY`)
  }
  const accessKeyId = environment['AWS_ACCESS_KEY_ID']
  const secretAccessKey = environment['AWS_SECRET_ACCESS_KEY']
  if (!accessKeyId || !secretAccessKey) {
    throw new UsageError('s3:// needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY')
  }
  const region = environment['AWS_REGION'] || environment['AWS_DEFAULT_REGION'] || 'us-east-1'
  const path = key.split('/').map(encodeURIComponent).join('/')
  const given = endpoint ?? environment['AWS_ENDPOINT_URL_S3'] ?? environment['AWS_ENDPOINT_URL']
  const base = given === undefined ? `https://s3.${region}.amazonaws.com` : baseOf(given)
  return {
    url: `${base}/${bucket}/${path}`,
    region,
    accessKeyId,
    secretAccessKey,
    sessionToken: environment['AWS_SESSION_TOKEN'] || undefined,
  }
}

function baseOf(endpoint: string): string {
  if (/^https?:\/\/[^/?#]+(\/[^?#]*)?$/.test(endpoint)) return endpoint.replace(/\/+$/, '')
  throw new UsageError(`the endpoint "${endpoint}" is no https://HOST[:PORT]`)
}
