/** What this node can do, looked at again now and then: a laptop is unplugged, a runtime answers at last. */
import { equals } from '@bufbuild/protobuf'
import { NodeCapabilitiesSchema, type NodeCapabilities } from '@cloudless/api'
import { CloudlessError, type Clock } from '@cloudless/base'
import type { AgentLogger } from '../logger.ts'

export interface CapabilityWatchDeps {
  readonly clock: Clock
  readonly logger: AgentLogger
  /** An empty runtime version means that the runtime did not answer. */
  readonly detect: () => Promise<NodeCapabilities>
}

const periodMs = 30_000
/** While the runtime has never answered. */
const firstContactMs = 2_000
/** A battery's charge is worth telling in steps of this size. */
const batteryStepPercent = 5
/** Below this a battery is low, which is told at once. */
const batteryLowPercent = 20

export class CapabilityWatch {
  readonly #deps: CapabilityWatchDeps
  #current: NodeCapabilities
  #cancel: () => void = () => {}
  #closed = false

  private constructor(deps: CapabilityWatchDeps, first: NodeCapabilities) {
    this.#deps = deps
    this.#current = first
    this.#schedule()
  }

  /** Looks once before it resolves. */
  static async open(deps: CapabilityWatchDeps): Promise<CapabilityWatch> {
    return new CapabilityWatch(deps, await deps.detect())
  }

  /** Another object only when something worth telling has changed. */
  get current(): NodeCapabilities {
    return this.#current
  }

  close(): void {
    this.#closed = true
    this.#cancel()
  }

  #schedule(): void {
    const delayMs = this.#current.runtimeVersion === '' ? firstContactMs : periodMs
    this.#cancel = this.#deps.clock.after(delayMs, () => void this.#look())
  }

  async #look(): Promise<void> {
    try {
      this.#current = newerOf(this.#current, await this.#deps.detect())
    } catch (reason) {
      const { code, message } = CloudlessError.from(reason)
      this.#deps.logger.debug({ code }, `cannot look at what this machine can do: ${message}`)
    }
    if (!this.#closed) this.#schedule()
  }
}

/** `before` itself unless the other says something new. A runtime that is away for a while keeps its version. */
export function newerOf(before: NodeCapabilities, found: NodeCapabilities): NodeCapabilities {
  const after = { ...found, runtimeVersion: found.runtimeVersion || before.runtimeVersion }
  const steadyBattery = { ...after, batteryPercent: before.batteryPercent }
  const same = equals(NodeCapabilitiesSchema, before, steadyBattery)
  return same && !isBatteryNews(before.batteryPercent, after.batteryPercent) ? before : after
}

/** One that hovers about the limit is told of once: to be high again it must rise by a step. */
function isBatteryNews(beforePercent: number, afterPercent: number): boolean {
  const isNowLow = beforePercent >= batteryLowPercent && afterPercent < batteryLowPercent
  return isNowLow || Math.abs(afterPercent - beforePercent) >= batteryStepPercent
}
