import { readAll } from '../../bytes/reader.ts'
import { HandshakeType } from '../registry.ts'
import { Extensions } from './extensions.ts'
import { encodeMessage } from './handshake-message.ts'

/** RFC 8446 §4.3.1. @throws DecodeError, TlsError */
export function decodeEncryptedExtensions(body: Uint8Array): Extensions<'encrypted_extensions'> {
  return readAll(body, 'encrypted_extensions', (reader) => Extensions.read(reader, 'encrypted_extensions'))
}

export function encodeEncryptedExtensions(extensions: Extensions<'encrypted_extensions'>): Uint8Array {
  return encodeMessage(HandshakeType.encrypted_extensions, (body) => extensions.write(body))
}
