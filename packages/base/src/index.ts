export { backoffDelayMs, type BackoffOptions } from './backoff.ts'
export { ByteReader } from './byte-reader.ts'
export { formatBytes, parseBytes } from './bytes.ts'
export { every, sleep, systemClock, within, type Clock } from './clock.ts'
export { formatAddress, parseAddress, type Address } from './configuration/address.ts'
export { describeSettings, printableConfiguration } from './configuration/describe.ts'
export {
  loadConfiguration,
  type ConfigurationInput,
  type ConfigurationResult,
} from './configuration/load.ts'
export type { Setting, SettingType, Values } from './configuration/setting.ts'
export { counted } from './counted.ts'
export {
  cronScheduleOf,
  latestRunMs,
  nextRunMs,
  problemWithSchedule,
  type CronSchedule,
} from './cron-schedule.ts'
export {
  makePrivateDirectory,
  removeDurably,
  writeDurably,
  writeDurablySync,
  type DurableFileOptions,
} from './durable-file.ts'
export { formatDurationMs, parseDurationMs } from './duration.ts'
export {
  assert,
  assertNever,
  CloudlessError,
  errorCodes,
  messageOf,
  systemCodeOf,
  type CloudlessErrorOptions,
  type ErrorCode,
  type ErrorDetails,
} from './errors.ts'
export {
  hostRefusal,
  isUnderAny,
  plainPath,
  type HostDemands,
  type HostPolicy,
  type HostRefusal,
  type SecurityModule,
} from './host-policy.ts'
export { problemWithLabel, problemWithSubdomain } from './names.ts'
export { onAbort } from './on-abort.ts'
export { isPublicAddress } from './public-address.ts'
export { between, pick, randomId, seededRandom, systemRandom, type Random } from './random.ts'
export { KeyedSerialQueue, Semaphore } from './serial-queue.ts'
export { nearestName, suggestion } from './suggest.ts'
export { problemWithTimeZone } from './time-zone.ts'
export { version } from './version.ts'
