/**
 * The same memory as a plain Uint8Array. A Buffer is one too, but its `slice` shares memory where the plain one's
 * copies, and it is not deeply equal to one; so none leaves this layer.
 */
export function plainBytes(buffer: NodeJS.NonSharedUint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
}
