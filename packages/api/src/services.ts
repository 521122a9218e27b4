/**
 * The parts of the contract that only a server needs, apart from the rest: reading them costs every program that does
 * some 10 ms and 5 MB.
 */
export * from './gen/cloudless/v1/network_pb.ts'
export * from './gen/cloudless/v1/secrets_pb.ts'
export * from './gen/cloudless/v1/storage_pb.ts'
export * as grpcHealth from './gen/grpc/health/v1/health_pb.ts'
export * as grpcReflection from './gen/grpc/reflection/v1/reflection_pb.ts'
export * as grpcReflectionAlpha from './gen/grpc/reflection/v1alpha/reflection_pb.ts'
