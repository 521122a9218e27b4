export {
  coordinatorsHeader,
  correlationIdHeader,
  idempotencyKeyHeader,
  requestIdHeader,
} from './call-headers.ts'
export {
  compressedFlag,
  encodeEnvelope,
  endStreamFlag,
  EnvelopeReader,
  type Envelope,
} from './envelopes.ts'
export { fromConnectError, toConnectError } from './error-codes.ts'
export * from './gen/cloudless/v1/agent_pb.ts'
export * from './gen/cloudless/v1/coordinator_pb.ts'
export * from './gen/cloudless/v1/error_pb.ts'
export * from './gen/cloudless/v1/event_pb.ts'
export * from './gen/cloudless/v1/node_pb.ts'
export * from './gen/cloudless/v1/records_pb.ts'
export * from './gen/cloudless/v1/resources_pb.ts'
export * from './gen/cloudless/v1/workload_pb.ts'
export {
  formatImageReference,
  normaliseImage,
  parseImageReference,
  type ImageReference,
  type ImageReferenceResult,
} from './image-reference.ts'
export { pageOf, type Page, type PageRequest } from './paging.ts'
export {
  defaultWorkload,
  defaultWorkloadSpec,
  namespaceDefault,
} from './workload/default-workload.ts'
export { withinAutoscaling } from './workload/autoscaling.ts'
export {
  onReturnOf,
  rebalanceIntervalMsDefault,
  rebalanceMovingDefault,
  replaceAtMs,
  type OnReturn,
} from './workload/disconnect-policy.ts'
export { hostDemandsOf } from './workload/host-demands.ts'
export { insteadOfReplicas, isService, workloadTypeOf } from './workload/kinds.ts'
export {
  problemWithLabelKey,
  problemWithLabelValue,
  selectorOperators,
  validateLabels,
} from './workload/labels.ts'
export {
  networkFeaturePrefix,
  packings,
  publicAddressAnnotation,
  spreadTopologies,
  taintEffects,
} from './workload/placement.ts'
export { podTemplateOf, sameTemplate } from './workload/pod-template.ts'
export {
  errorOfProblems,
  formatFieldPath,
  ProblemList,
  type FieldPath,
  type FieldProblem,
} from './workload/problem.ts'
export { iopsClasses } from './workload/resources.ts'
export { validateSchedulerConfiguration } from './workload/scheduler-configuration.ts'
export { validateWorkload, validateWorkloadSpec } from './workload/validate-workload.ts'
