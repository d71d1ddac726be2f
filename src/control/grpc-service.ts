import { fromBinary, toBinary } from '@bufbuild/protobuf'
import type { DescMessage, DescMethod } from '@bufbuild/protobuf'
import type { GenService, GenServiceMethods } from '@bufbuild/protobuf/codegenv2'
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js'
import type { MessageShape } from '@bufbuild/protobuf'

/** A service as grpc-js wants it, made of the descriptor that protoc-gen-es generates. */
export function serviceDefinition<Methods extends GenServiceMethods>(
  service: GenService<Methods>,
): ServiceDefinition {
  return Object.fromEntries(
    Object.entries<DescMethod>(service.method).map(([name, method]) => [name, methodDefinition(method)]),
  )
}

/** One method, with the types of its messages. */
export function methodDefinition<Input extends DescMessage, Output extends DescMessage>(
  method: DescMethod & { readonly input: Input; readonly output: Output },
): MethodDefinition<MessageShape<Input>, MessageShape<Output>> {
  const { input, output, methodKind } = method
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: methodKind === 'client_streaming' || methodKind === 'bidi_streaming',
    responseStream: methodKind === 'server_streaming' || methodKind === 'bidi_streaming',
    requestSerialize: (message) => encode(input, message),
    requestDeserialize: (bytes) => decode(input, bytes),
    responseSerialize: (message) => encode(output, message),
    responseDeserialize: (bytes) => decode(output, bytes),
  }
}

function encode<Schema extends DescMessage>(schema: Schema, message: MessageShape<Schema>): Buffer {
  const { buffer, byteOffset, byteLength } = toBinary(schema, message)
  return Buffer.from(buffer, byteOffset, byteLength)
}

/** From a copy: byte fields are views, and must neither be Buffers nor keep a network buffer alive. */
function decode<Schema extends DescMessage>(schema: Schema, bytes: Buffer): MessageShape<Schema> {
  return fromBinary(schema, new Uint8Array(bytes))
}
