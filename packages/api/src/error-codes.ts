/**
 * Errors across the wire, both ways.
 *
 * The RPC status is for everyone (grpcurl, curl, other languages); an ErrorDetail beside it carries our own code and facts,
 * so that our client catches the CloudlessError that our server threw. A status is never UNKNOWN.
 */
import { create } from '@bufbuild/protobuf'
import { CloudlessError, errorCodes, type ErrorCode, type ErrorDetails } from '@cloudless/base'
import { Code, ConnectError } from '@connectrpc/connect'
import { ErrorDetailSchema, type ErrorDetail } from './gen/cloudless/v1/error_pb.ts'

const statusByCode: Readonly<Record<ErrorCode, Code>> = {
  invalid_argument: Code.InvalidArgument,
  unauthenticated: Code.Unauthenticated,
  permission_denied: Code.PermissionDenied,
  not_found: Code.NotFound,
  already_exists: Code.AlreadyExists,
  failed_precondition: Code.FailedPrecondition,
  conflict: Code.Aborted,
  resource_exhausted: Code.ResourceExhausted,
  unavailable: Code.Unavailable,
  deadline_exceeded: Code.DeadlineExceeded,
  cancelled: Code.Canceled,
  unimplemented: Code.Unimplemented,
  corrupt_data: Code.DataLoss,
  internal: Code.Internal,
}

const codeByStatus = new Map<Code, ErrorCode>([
  ...errorCodes.map((code): [Code, ErrorCode] => [statusByCode[code], code]),
  // What only other people's servers say.
  [Code.OutOfRange, 'invalid_argument'],
  [Code.Unknown, 'internal'],
])

/** gRPC sends the message and the details in headers, which many clients limit to 8 KiB together. */
const messageLengthMax = 3_000
const factsMax = 16
const factLengthMax = 200

/** For the boundary of a server: whatever was thrown, as the status to answer with. */
export function toConnectError(reason: unknown): ConnectError {
  if (reason instanceof ConnectError) return withoutUnknown(reason)
  const error = CloudlessError.from(reason)
  const detail = { desc: ErrorDetailSchema, value: detailOf(error) }
  const message = shortened(error.message, messageLengthMax)
  return new ConnectError(message, statusByCode[error.code], undefined, [detail], reason)
}

/** For the boundary of a client: whatever a call threw, as the error the server threw. */
export function fromConnectError(reason: unknown, context?: string): CloudlessError {
  if (!(reason instanceof ConnectError)) return CloudlessError.from(reason, context)
  const detail = reason.findDetails(ErrorDetailSchema)[0]
  const prefix = context === undefined ? '' : `${context}: `
  return new CloudlessError(codeOf(reason, detail), prefix + reason.rawMessage, {
    details: factsOf(detail),
    cause: reason,
  })
}

function withoutUnknown(error: ConnectError): ConnectError {
  if (error.code !== Code.Unknown) return error
  return error.cause === undefined
    ? new ConnectError(error.rawMessage, Code.Internal, error.metadata)
    : toConnectError(CloudlessError.from(error.cause))
}

/** A newer server may know codes that we do not; then its status says enough. */
function codeOf(error: ConnectError, detail: ErrorDetail | undefined): ErrorCode {
  const named = errorCodes.find((code) => code === detail?.code)
  return named ?? codeByStatus.get(error.code) ?? 'internal'
}

function detailOf(error: CloudlessError): ErrorDetail {
  const detail = create(ErrorDetailSchema, { code: error.code })
  for (const [name, fact] of Object.entries(error.details).slice(0, factsMax)) {
    if (typeof fact === 'number') detail.numberFacts[name] = fact
    else detail.textFacts[name] = shortened(fact, factLengthMax)
  }
  return detail
}

function factsOf(detail: ErrorDetail | undefined): ErrorDetails {
  return detail === undefined ? {} : { ...detail.textFacts, ...detail.numberFacts }
}

function shortened(text: string, lengthMax: number): string {
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax - 1)}…`
}
