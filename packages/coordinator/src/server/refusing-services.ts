/** Every method of some services, refused: what a coordinator serves while it does not lead. */
import type { CloudlessError } from '@cloudless/base'
import type { DescService } from '@bufbuild/protobuf'
import { refusalOf, type ServedService } from './rpc-handler.ts'

export function refusingServices(
  services: readonly DescService[],
  why: () => CloudlessError,
): ServedService[] {
  return services.map((service) => ({
    service,
    implementation: Object.fromEntries(
      service.methods.map((method) => [method.localName, refusalOf(method, why)]),
    ),
  }))
}
