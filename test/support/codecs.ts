import { Writer } from '../../src/bytes/writer.ts'
import type { Codec } from '../../src/tls/messages/extension-codecs.ts'

/** What a codec writes, by itself. */
export function written<T>(codec: Codec<T>, value: T): Uint8Array {
  const writer = new Writer()
  codec.write(writer, value)
  return writer.finish()
}
