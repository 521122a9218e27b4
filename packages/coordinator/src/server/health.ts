/** grpc.health.v1: the standard question, answered from the same readiness as /readyz. */
import { grpcHealth } from '@cloudless/api/services'
import { CloudlessError, sleep, type Clock } from '@cloudless/base'
import { callContextOf } from './call-context.ts'
import type { Readiness } from './http-paths.ts'
import { serve, type ServedService } from './rpc-handler.ts'

const { Health, HealthCheckResponse_ServingStatus: status } = grpcHealth

/** How soon a watcher learns of a change. */
const watchIntervalMs = 500

export function createHealthService(
  deps: { readonly clock: Clock; readonly readiness: () => Readiness },
  serviceNames: readonly string[],
): ServedService {
  const isKnown = (name: string): boolean => name === '' || serviceNames.includes(name)
  const current = () => (deps.readiness().ready ? status.SERVING : status.NOT_SERVING)
  return serve(Health, {
    check: (request) => {
      if (isKnown(request.service)) return { status: current() }
      throw new CloudlessError('not_found', `there is no service "${request.service}" here`)
    },
    async *watch(request, context) {
      const signal = AbortSignal.any([context.signal, callContextOf(context).ended])
      let sent: number | undefined
      while (!signal.aborted) {
        const now = isKnown(request.service) ? current() : status.SERVICE_UNKNOWN
        if (now !== sent) yield { status: now }
        sent = now
        // An aborted wait ends the loop; the reason is the call's and not ours to report.
        await sleep(deps.clock, watchIntervalMs, signal).catch(() => undefined)
      }
    },
  })
}
