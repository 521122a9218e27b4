/** gRPC server reflection, v1 and v1alpha, so that grpcurl and its like know the API without its proto files. */
import { toBinary, type DescFile, type DescService } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { grpcReflection, grpcReflectionAlpha } from '@cloudless/api/services'
import { serve, type ServedService } from './rpc-handler.ts'

/** The gRPC code NOT_FOUND, which the protocol wants as a number inside its answers. */
const notFoundCode = 5

/** Both versions of the service, describing the given services and themselves. */
export function createReflectionServices(described: readonly DescService[]): ServedService[] {
  const own = [grpcReflection.ServerReflection, grpcReflectionAlpha.ServerReflection]
  const services = [...described, ...own]
  const index = indexOf(services)
  return [
    serve(grpcReflection.ServerReflection, {
      async *serverReflectionInfo(requests) {
        for await (const originalRequest of requests) {
          yield { originalRequest, ...answer(services, index, originalRequest) }
        }
      },
    }),
    serve(grpcReflectionAlpha.ServerReflection, {
      async *serverReflectionInfo(requests) {
        for await (const originalRequest of requests) {
          yield { originalRequest, ...answer(services, index, originalRequest) }
        }
      },
    }),
  ]
}

interface ReflectionIndex {
  readonly byFileName: ReadonlyMap<string, DescFile>
  readonly bySymbol: ReadonlyMap<string, DescFile>
}

/** What both versions of a request have. */
interface Question {
  readonly host: string
  readonly messageRequest: { readonly case: string | undefined; readonly value?: unknown }
}

function answer(services: readonly DescService[], index: ReflectionIndex, request: Question) {
  const validHost = request.host
  const question = request.messageRequest
  if (question.case === 'listServices') {
    const service = services.map(({ typeName }) => ({ name: typeName }))
    const value = { service }
    return { validHost, messageResponse: { case: 'listServicesResponse' as const, value } }
  }
  const name = typeof question.value === 'string' ? question.value : ''
  let file: DescFile | undefined
  if (question.case === 'fileByFilename') file = index.byFileName.get(name)
  if (question.case === 'fileContainingSymbol') file = index.bySymbol.get(name)
  if (file === undefined) {
    const value = { errorCode: notFoundCode, errorMessage: `"${name}" is not known here` }
    return { validHost, messageResponse: { case: 'errorResponse' as const, value } }
  }
  const fileDescriptorProto = withDependencies(file).map((each) =>
    toBinary(FileDescriptorProtoSchema, each.proto),
  )
  return {
    validHost,
    messageResponse: { case: 'fileDescriptorResponse' as const, value: { fileDescriptorProto } },
  }
}

function indexOf(services: readonly DescService[]): ReflectionIndex {
  const files = new Set(services.flatMap((service) => withDependencies(service.file)))
  const bySymbol = new Map<string, DescFile>()
  for (const file of files) {
    for (const service of file.services) {
      bySymbol.set(service.typeName, file)
      for (const method of service.methods) bySymbol.set(`${service.typeName}.${method.name}`, file)
    }
    addMessages(bySymbol, file, file.messages)
    for (const each of file.enums) bySymbol.set(each.typeName, file)
  }
  const byFileName = new Map([...files].map((file) => [file.proto.name, file]))
  return { byFileName, bySymbol }
}

function addMessages(
  bySymbol: Map<string, DescFile>,
  file: DescFile,
  messages: DescFile['messages'],
): void {
  for (const message of messages) {
    bySymbol.set(message.typeName, file)
    for (const each of message.nestedEnums) bySymbol.set(each.typeName, file)
    addMessages(bySymbol, file, message.nestedMessages)
  }
}

function withDependencies(file: DescFile, seen = new Set<DescFile>()): DescFile[] {
  if (seen.has(file)) return []
  seen.add(file)
  return [file, ...file.dependencies.flatMap((dependency) => withDependencies(dependency, seen))]
}
