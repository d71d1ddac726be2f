/**
 * Extensions as one table: which may stand in which message, and in what form. Duplicates, misplaced and malformed
 * ones are caught here and nowhere else; unknown ones survive as bytes.
 */
import type { Reader } from '../../bytes/reader.ts'
import { Writer } from '../../bytes/writer.ts'
import { echClientHello, echConfirmation, echRetryConfigs, type EchClientHello } from '../ech/extension.ts'
import { TlsError } from '../errors.ts'
import { ExtensionType, nameOf } from '../registry.ts'
import {
  certificateTypeList,
  compressionList,
  ocspStatus,
  statusRequest,
  timestampList,
  type StatusRequest,
} from './certificate-extensions.ts'
import {
  byteList,
  cookie,
  flag,
  flagSet,
  keyShare,
  keyShareList,
  nameList,
  opaque,
  protocolList,
  serverName,
  uint16,
  uint16List,
  uint8,
  versionList,
  type Codec,
  type KeyShareEntry,
} from './extension-codecs.ts'

import { offeredPsks, type OfferedPsks } from './pre-shared-key.ts'

/** Real ClientHellos carry about 20 extensions; 64 leaves room for GREASE and bounds the work. */
const MAX_EXTENSIONS = 64

/** Messages that carry extensions, as RFC 8446 §4.2 tells them apart. */
export type ExtendedMessage =
  | 'client_hello'
  | 'server_hello'
  | 'hello_retry_request'
  | 'encrypted_extensions'
  | 'certificate_request'
  | 'certificate'
  | 'new_session_ticket'

/** RFC 8446 §4.2 forbids duplicates without naming an alert; we answer as BoringSSL does. */
const DUPLICATES_ARE_MALFORMED: ReadonlySet<ExtendedMessage> = new Set([
  'client_hello',
  'encrypted_extensions',
])

type Numbers = readonly number[]

/** What each extension holds in each message where it may stand (the table of RFC 8446 §4.2). */
interface ExtensionValues {
  server_name: { client_hello: string; encrypted_extensions: true }
  status_request: { client_hello: StatusRequest; certificate_request: true; certificate: Uint8Array }
  supported_groups: { client_hello: Numbers; encrypted_extensions: Numbers }
  signature_algorithms: { client_hello: Numbers; certificate_request: Numbers }
  application_layer_protocol_negotiation: {
    client_hello: readonly string[]
    encrypted_extensions: readonly string[]
  }
  signed_certificate_timestamp: {
    client_hello: true
    certificate_request: true
    certificate: Uint8Array
  }
  client_certificate_type: { client_hello: Numbers; encrypted_extensions: number }
  server_certificate_type: { client_hello: Numbers; encrypted_extensions: number }
  padding: { client_hello: Uint8Array }
  compress_certificate: { client_hello: Numbers; certificate_request: Numbers }
  record_size_limit: { client_hello: number; encrypted_extensions: number }
  pre_shared_key: { client_hello: OfferedPsks; server_hello: number }
  early_data: { client_hello: Uint8Array; encrypted_extensions: Uint8Array; new_session_ticket: Uint8Array }
  supported_versions: { client_hello: Numbers; server_hello: number; hello_retry_request: number }
  cookie: { client_hello: Uint8Array; hello_retry_request: Uint8Array }
  psk_key_exchange_modes: { client_hello: Numbers }
  certificate_authorities: { client_hello: readonly Uint8Array[]; certificate_request: readonly Uint8Array[] }
  oid_filters: { certificate_request: Uint8Array }
  post_handshake_auth: { client_hello: true }
  signature_algorithms_cert: { client_hello: Numbers; certificate_request: Numbers }
  key_share: {
    client_hello: readonly KeyShareEntry[]
    server_hello: KeyShareEntry
    hello_retry_request: number
  }
  tls_flags: {
    client_hello: Uint8Array
    certificate_request: Uint8Array
    new_session_ticket: ReadonlySet<number>
  }
  encrypted_client_hello: {
    client_hello: EchClientHello
    hello_retry_request: Uint8Array
    encrypted_extensions: Uint8Array
  }
}

type Codecs = {
  readonly [Name in keyof ExtensionValues]: {
    readonly [Message in keyof ExtensionValues[Name]]: Codec<ExtensionValues[Name][Message]>
  }
}

const EXTENSIONS: Codecs = {
  server_name: { client_hello: serverName, encrypted_extensions: flag },
  status_request: { client_hello: statusRequest, certificate_request: flag, certificate: ocspStatus },
  supported_groups: {
    client_hello: uint16List('named_group_list'),
    encrypted_extensions: uint16List('named_group_list'),
  },
  signature_algorithms: {
    client_hello: uint16List('supported_signature_algorithms'),
    certificate_request: uint16List('supported_signature_algorithms'),
  },
  application_layer_protocol_negotiation: { client_hello: protocolList, encrypted_extensions: protocolList },
  signed_certificate_timestamp: {
    client_hello: flag,
    certificate_request: flag,
    certificate: timestampList,
  },
  client_certificate_type: {
    client_hello: certificateTypeList('client_certificate_type'),
    encrypted_extensions: uint8('client_certificate_type'),
  },
  server_certificate_type: {
    client_hello: certificateTypeList('server_certificate_type'),
    encrypted_extensions: uint8('server_certificate_type'),
  },
  padding: { client_hello: opaque },
  compress_certificate: { client_hello: compressionList, certificate_request: compressionList },
  record_size_limit: {
    client_hello: uint16('record_size_limit'),
    encrypted_extensions: uint16('record_size_limit'),
  },
  pre_shared_key: { client_hello: offeredPsks, server_hello: uint16('selected_identity') },
  early_data: { client_hello: opaque, encrypted_extensions: opaque, new_session_ticket: opaque },
  supported_versions: {
    client_hello: versionList,
    server_hello: uint16('selected_version'),
    hello_retry_request: uint16('selected_version'),
  },
  cookie: { client_hello: cookie, hello_retry_request: cookie },
  psk_key_exchange_modes: { client_hello: byteList },
  certificate_authorities: { client_hello: nameList, certificate_request: nameList },
  oid_filters: { certificate_request: opaque },
  post_handshake_auth: { client_hello: flag },
  signature_algorithms_cert: {
    client_hello: uint16List('supported_signature_algorithms'),
    certificate_request: uint16List('supported_signature_algorithms'),
  },
  key_share: {
    client_hello: keyShareList,
    server_hello: keyShare,
    hello_retry_request: uint16('selected_group'),
  },
  tls_flags: { client_hello: opaque, certificate_request: opaque, new_session_ticket: flagSet },
  encrypted_client_hello: {
    client_hello: echClientHello,
    hello_retry_request: echConfirmation,
    encrypted_extensions: echRetryConfigs,
  },
}

/**
 * Extensions that only older versions read: a client may offer them, for a server that is old, and nobody answers them
 * in TLS 1.3 (RFC 8446 §4.2).
 */
const OF_OLDER_VERSIONS: ReadonlySet<number> = new Set([
  ExtensionType.ec_point_formats,
  ExtensionType.encrypt_then_mac,
  ExtensionType.extended_main_secret,
  ExtensionType.session_ticket,
  ExtensionType.renegotiation_info,
])

type NamesIn<Message extends ExtendedMessage> = {
  [Name in keyof ExtensionValues]: Message extends keyof ExtensionValues[Name] ? Name : never
}[keyof ExtensionValues]

type ValueIn<
  Message extends ExtendedMessage,
  Name extends keyof ExtensionValues,
> = Message extends keyof ExtensionValues[Name] ? ExtensionValues[Name][Message] : never

interface Extension {
  /** As they were read; absent for what is still to be written. */
  readonly contents: Uint8Array | undefined
  /** Of what is known. */
  readonly codec: Codec<unknown> | undefined
  /** What the contents say, when the extension is known. */
  readonly value: unknown
}

/** The extensions of one message, in their order. */
export class Extensions<Message extends ExtendedMessage> {
  readonly #message: Message
  readonly #items = new Map<number, Extension>()

  constructor(message: Message) {
    this.#message = message
  }

  /**
   * Reads a list behind its two-byte length.
   *
   * @throws DecodeError for malformed contents; TlsError TLS_ILLEGAL_PARAMETER or TLS_DECODE_ERROR for
   * duplicates, TLS_UNSOLICITED_EXTENSION for extensions that may not stand in this message, TLS_DECODE_ERROR for too
   * many
   */
  static read<Message extends ExtendedMessage>(reader: Reader, message: Message): Extensions<Message> {
    const extensions = new Extensions(message)
    reader.vector16('extensions', (list) => {
      while (list.remaining > 0) extensions.#readOne(list)
    })
    return extensions
  }

  /** A copy that can be changed on its own. */
  static from<Message extends ExtendedMessage>(original: Extensions<Message>): Extensions<Message> {
    const copy = new Extensions(original.#message)
    for (const [type, item] of original.#items) copy.#items.set(type, item)
    return copy
  }

  /** The codes, in order. */
  get types(): number[] {
    return [...this.#items.keys()]
  }

  /** The names of the registry, in order. */
  get names(): string[] {
    return this.types.map((type) => nameOf(ExtensionType, type))
  }

  has(type: number): boolean {
    return this.#items.has(type)
  }

  value<Name extends NamesIn<Message>>(name: Name): ValueIn<Message, Name> | undefined {
    return this.#items.get(ExtensionType[name])?.value as ValueIn<Message, Name> | undefined
  }

  /** The contents as bytes, known or not. */
  contents(type: number): Uint8Array | undefined {
    const item = this.#items.get(type)
    if (item === undefined || item.contents !== undefined) return item?.contents
    const writer = new Writer()
    writeContents(writer, item)
    return writer.finish()
  }

  /** Adds a known extension, or replaces it in its place. */
  add<Name extends NamesIn<Message>>(name: Name, value: ValueIn<Message, Name>): this {
    const type = ExtensionType[name]
    this.#items.set(type, { contents: undefined, codec: codecOf(type, this.#message)!, value })
    return this
  }

  /** Adds an extension that no table knows. */
  addUnknown(type: number, contents: Uint8Array): this {
    this.#items.set(type, { contents, codec: undefined, value: undefined })
    return this
  }

  /** The same extensions in another order, which must name each of them. */
  inOrder(types: readonly number[]): Extensions<Message> {
    const ordered = new Extensions(this.#message)
    for (const type of types) ordered.#items.set(type, this.#items.get(type)!)
    return ordered
  }

  /** Leaves one out, if it is there. */
  remove(type: number): this {
    this.#items.delete(type)
    return this
  }

  write(writer: Writer): void {
    writer.vector16((list) => {
      for (const [type, item] of this.#items) {
        list.uint16(type).vector16((body) => writeContents(body, item))
      }
    })
  }

  #readOne(list: Reader): void {
    const type = list.uint16('extension_type')
    const contents = list.bytes16('extension_data')
    if (this.#items.has(type)) {
      throw new TlsError(
        DUPLICATES_ARE_MALFORMED.has(this.#message) ? 'TLS_DECODE_ERROR' : 'TLS_ILLEGAL_PARAMETER',
        `${this.#message} carries ${nameOf(ExtensionType, type)} twice`,
      )
    }
    if (this.#items.size >= MAX_EXTENSIONS) {
      throw new TlsError(
        'TLS_DECODE_ERROR',
        `${this.#message} carries more than ${MAX_EXTENSIONS} extensions`,
      )
    }
    const codec = codecOf(type, this.#message)
    if (codec === undefined && PLACES_BY_TYPE.has(type)) {
      throw new TlsError(
        'TLS_UNSOLICITED_EXTENSION',
        `${nameOf(ExtensionType, type)} may not stand in ${this.#message} (RFC 8446 §4.2, §6.2)`,
      )
    }
    if (OF_OLDER_VERSIONS.has(type) && this.#message !== 'client_hello') {
      throw new TlsError(
        'TLS_ILLEGAL_PARAMETER',
        `${nameOf(ExtensionType, type)} belongs to older versions and may not stand in ${this.#message} (RFC 8446 §4.2)`,
      )
    }
    this.#items.set(type, { contents, codec, value: codec?.read(contents) })
  }
}

function writeContents(writer: Writer, { contents, codec, value }: Extension): void {
  if (contents === undefined) codec!.write(writer, value)
  else writer.bytes(contents)
}

type Places = Readonly<Partial<Record<ExtendedMessage, Codec<unknown>>>>

const PLACES_BY_TYPE: ReadonlyMap<number, Places> = new Map(
  Object.entries(EXTENSIONS).map(([name, places]) => [ExtensionType[name as keyof Codecs], places as Places]),
)

function codecOf(type: number, message: ExtendedMessage): Codec<unknown> | undefined {
  return PLACES_BY_TYPE.get(type)?.[message]
}
