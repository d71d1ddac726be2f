/** Records by hand: for saying things to an engine that no engine says. */
import { concat } from '../../src/bytes/bytes.ts'
import { Writer } from '../../src/bytes/writer.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import type { CryptoProvider } from '../../src/crypto/provider.ts'
import { RECORD_OVERHEAD_BYTES, RecordSealer } from '../../src/tls/record/protection.ts'
import {
  CIPHER_SUITES,
  type CipherSuiteName,
  type CipherSuiteParameters,
  type ContentType,
} from '../../src/tls/registry.ts'
import type { TlsEnd } from './tls-pair.ts'

const RECORD_HEADER_BYTES = 5

/** A record without protection. */
export function plainRecord(type: number, fragment: Uint8Array, version = 0x0303): Uint8Array<ArrayBuffer> {
  return new Writer().uint8(type).uint16(version).bytes16(fragment).finish()
}

/** The whole records of a stream, each a copy with its header. */
export function splitRecords(stream: Uint8Array): Uint8Array<ArrayBuffer>[] {
  const records: Uint8Array<ArrayBuffer>[] = []
  for (let offset = 0; offset < stream.length;) {
    const length = RECORD_HEADER_BYTES + ((stream[offset + 3]! << 8) | stream[offset + 4]!)
    records.push(new Uint8Array(stream.subarray(offset, offset + length)))
    offset += length
  }
  return records
}

export function suiteNamed(name: CipherSuiteName): CipherSuiteParameters {
  return CIPHER_SUITES.find((suite) => suite.name === name)!
}

/** Seals records in the place of an engine, under a secret of its key log. */
export class RecordForger {
  readonly #sealer: RecordSealer

  /** `label` is one of the key log's; the sequence numbers begin at zero. */
  constructor(end: TlsEnd, label: string, suite: CipherSuiteName, crypto: CryptoProvider = nativeCrypto()) {
    this.#sealer = new RecordSealer(crypto, suiteNamed(suite), end.secret(label))
  }

  /** One record; `padding` zeros follow the content type. */
  seal(type: number, content: Uint8Array, padding = 0): Uint8Array<ArrayBuffer> {
    // The sealer appends its own content type: what is padded is given to it as content, with a zero for a type.
    const inner = padding === 0 ? content : concat(content, Uint8Array.of(type), new Uint8Array(padding - 1))
    const output = new Uint8Array(inner.length + RECORD_OVERHEAD_BYTES)
    const length = this.#sealer.seal((padding === 0 ? type : 0) as ContentType, inner, output)
    return output.slice(0, length)
  }

  [Symbol.dispose](): void {
    this.#sealer[Symbol.dispose]()
  }
}
