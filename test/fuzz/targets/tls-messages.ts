import { equalBytes } from '../../../src/bytes/bytes.ts'
import { DecodeError } from '../../../src/bytes/errors.ts'
import { readAll } from '../../../src/bytes/reader.ts'
import { Writer } from '../../../src/bytes/writer.ts'
import { TlsError } from '../../../src/tls/errors.ts'
import {
  decodeCertificate,
  decodeCertificateRequest,
  decodeCertificateVerify,
  encodeCertificate,
  encodeCertificateRequest,
  encodeCertificateVerify,
} from '../../../src/tls/messages/authentication.ts'
import {
  checkClientHello,
  checkSecondClientHello,
  decodeClientHello,
  encodeClientHello,
} from '../../../src/tls/messages/client-hello.ts'
import {
  decodeEncryptedExtensions,
  encodeEncryptedExtensions,
} from '../../../src/tls/messages/encrypted-extensions.ts'
import { Extensions, type ExtendedMessage } from '../../../src/tls/messages/extensions.ts'
import {
  decodeKeyUpdate,
  decodeNewSessionTicket,
  encodeKeyUpdate,
  encodeNewSessionTicket,
} from '../../../src/tls/messages/post-handshake.ts'
import {
  decodeServerHello,
  encodeServerHello,
  selectedVersion,
} from '../../../src/tls/messages/server-hello.ts'
import { nodeCompression } from '../../../src/net/node-compression.ts'
import { compressCertificate, restoreCertificate } from '../../../src/tls/certificate-compression.ts'
import { describeMessage } from '../../../src/tls/describe.ts'
import {
  decodeCompressedCertificate,
  encodeCompressedCertificate,
} from '../../../src/tls/messages/compressed-certificate.ts'
import { asMessage } from '../../../src/tls/messages/handshake-message.ts'
import { checkAlertLevel, readAlert } from '../../../src/tls/received-alert.ts'
import { CIPHER_SUITES, HandshakeType } from '../../../src/tls/registry.ts'
import { bodyOf, messageOf } from '../handshake/flight.ts'
import { magnitude, outcomeOf, Violation, type FuzzTarget } from '../target.ts'
import type { LiveTraffic } from './live-messages.ts'

interface MessageCodec<T> {
  readonly decode: (body: Uint8Array) => T
  /** The whole message. */
  readonly encode: (message: T) => Uint8Array
  /** What else is asked of a message that is well-formed. @throws TlsError */
  readonly check?: (message: T) => unknown
}

/** One target for each handshake message, and one for lists of extensions in every message that has them. */
export function tlsMessageTargets(live: LiveTraffic): readonly FuzzTarget[] {
  const first = decodeClientHello(live.bodies(HandshakeType.client_hello)[0]!)
  return [
    messageTarget(live, 'client_hello', {
      decode: decodeClientHello,
      encode: encodeClientHello,
      check(hello) {
        checkClientHello(hello)
        checkSecondClientHello(first, hello, CIPHER_SUITES[0]!)
      },
    }),
    messageTarget(live, 'server_hello', {
      decode: decodeServerHello,
      encode: encodeServerHello,
      check: selectedVersion,
    }),
    messageTarget(live, 'encrypted_extensions', {
      decode: decodeEncryptedExtensions,
      encode: encodeEncryptedExtensions,
    }),
    messageTarget(live, 'certificate_request', {
      decode: decodeCertificateRequest,
      encode: encodeCertificateRequest,
    }),
    messageTarget(live, 'certificate', { decode: decodeCertificate, encode: encodeCertificate }),
    compressedCertificateTarget(live),
    ALERT,
    messageTarget(live, 'certificate_verify', {
      decode: decodeCertificateVerify,
      encode: encodeCertificateVerify,
    }),
    messageTarget(live, 'new_session_ticket', {
      decode: decodeNewSessionTicket,
      encode: encodeNewSessionTicket,
    }),
    messageTarget(live, 'key_update', { decode: decodeKeyUpdate, encode: encodeKeyUpdate }),
    extensionsTarget(live),
  ]
}

/** Decodes a body; what is decoded must survive being encoded, and be fit to be shown. */
function messageTarget<T>(
  live: LiveTraffic,
  name: keyof typeof HandshakeType,
  { decode, encode, check }: MessageCodec<T>,
): FuzzTarget {
  const type = HandshakeType[name]
  return {
    name: name.replaceAll('_', '-'),
    seeds: live.bodies(type),
    run: (body) =>
      outcomeOf(
        () => {
          // Whatever it is, it can be described.
          describeMessage({ type, body, bytes: messageOf(type, body) })
          const message = decode(body)
          const encoded = encode(message)
          if (!equalBytes(encode(decode(bodyOf(encoded))), encoded))
            throw new Violation('The message is another one after it was encoded and decoded again')
          check?.(message)
          return `decoded: ${magnitude(encoded.length)}`
        },
        DecodeError,
        TlsError,
      ),
  }
}

/** Beside what live handshakes send, which is in zlib, the same certificates in the other ways. */
function compressedCertificateTarget(live: LiveTraffic): FuzzTarget {
  const target = messageTarget(live, 'compressed_certificate', {
    decode: decodeCompressedCertificate,
    encode: encodeCompressedCertificate,
    check(message) {
      const restored = restoreCertificate(asMessage(encodeCompressedCertificate(message)), nodeCompression)
      if (restored.body.length !== message.uncompressedLength)
        throw new Violation('What was restored is not as long as announced')
      decodeCertificate(restored.body)
    },
  })
  const [certificate] = live.bodies(HandshakeType.certificate)
  const others = nodeCompression.map((compressor) =>
    bodyOf(compressCertificate(messageOf(HandshakeType.certificate, certificate!), compressor)),
  )
  return { ...target, seeds: [...target.seeds, ...others] }
}

const ALERT: FuzzTarget = {
  name: 'alert',
  seeds: ['0100', '0228', '015a'].map((hex) => Uint8Array.fromHex(hex)),
  run: (input) =>
    outcomeOf(() => {
      const alert = readAlert(input)
      checkAlertLevel(alert)
      return `read: ${alert.description}`
    }, TlsError),
}

const EXTENDED: readonly ExtendedMessage[] = [
  'client_hello',
  'server_hello',
  'hello_retry_request',
  'encrypted_extensions',
  'certificate_request',
  'certificate',
  'new_session_ticket',
]

/** The first byte names the message that the list stands in. */
function extensionsTarget(live: LiveTraffic): FuzzTarget {
  const lists = live.bodies(HandshakeType.client_hello).map((body) => {
    const list = new Writer()
    decodeClientHello(body).extensions.write(list)
    return list.finish()
  })
  return {
    name: 'extensions',
    seeds: [...lists, ...live.bodies(HandshakeType.encrypted_extensions)].flatMap((list) =>
      EXTENDED.map((_, index) => Uint8Array.of(index, ...list)),
    ),
    run: (input) =>
      outcomeOf(
        () => {
          const message = EXTENDED[(input[0] ?? 0) % EXTENDED.length]!
          const encoded = input.subarray(1)
          const extensions = readAll(encoded, 'extensions', (reader) => Extensions.read(reader, message))
          const again = new Writer()
          extensions.write(again)
          if (!equalBytes(again.finish(), encoded))
            throw new Violation('The extensions are others after they were encoded again')
          return `decoded: ${message} ${extensions.names.join()}`
        },
        DecodeError,
        TlsError,
      ),
  }
}
