/**
 * The key schedule of RFC 8446 §7.1 as a chain of stages: each secret can be reached only from the one before it,
 * and each stage is wiped when the next one begins.
 */
import { Writer } from '../bytes/writer.ts'
import { utf8 } from '../bytes/bytes.ts'
import { hkdfExpand, hkdfExpandOnce, hkdfExtract } from '../crypto/hkdf.ts'
import {
  AEAD_KEY_BYTES,
  AEAD_NONCE_BYTES,
  HASH_BYTES,
  type CryptoProvider,
  type HashName,
} from '../crypto/provider.ts'
import type { CipherSuiteParameters } from './registry.ts'

const LABEL = {
  externalBinder: 'ext binder',
  resumptionBinder: 'res binder',
  importedBinder: 'imp binder',
  clientEarlyTraffic: 'c e traffic',
  earlyExporterMaster: 'e exp master',
  derived: 'derived',
  clientHandshakeTraffic: 'c hs traffic',
  serverHandshakeTraffic: 's hs traffic',
  clientApplicationTraffic: 'c ap traffic',
  serverApplicationTraffic: 's ap traffic',
  exporterMaster: 'exp master',
  exporter: 'exporter',
  resumptionMaster: 'res master',
  resumption: 'resumption',
  finished: 'finished',
  trafficUpdate: 'traffic upd',
  key: 'key',
  iv: 'iv',
} as const

const NOTHING = new Uint8Array(0)

/** What stands where there is no input to the chain. */
const ZEROS = { sha256: new Uint8Array(32), sha384: new Uint8Array(48), sha512: new Uint8Array(64) } as const

/** The secrets of both directions in one phase. */
export interface TrafficSecrets {
  readonly client: Uint8Array
  readonly server: Uint8Array
}

/** Before any key agreement: from a pre-shared key, or from nothing. The key is not wiped. */
export function earlyStage(crypto: CryptoProvider, hash: HashName, preSharedKey?: Uint8Array): EarlyStage {
  return new EarlyStage(crypto, hash, hkdfExtract(crypto, hash, NOTHING, preSharedKey ?? ZEROS[hash]))
}

/** Where a pre-shared key comes from: its binders differ, so that one cannot pass for the other. */
export type PreSharedKeyOrigin = 'resumption' | 'external' | 'imported'

const BINDER_LABEL = {
  resumption: LABEL.resumptionBinder,
  external: LABEL.externalBinder,
  imported: LABEL.importedBinder,
} as const

class Stage {
  protected readonly crypto: CryptoProvider
  protected readonly hash: HashName
  readonly #secret: Uint8Array

  constructor(crypto: CryptoProvider, hash: HashName, secret: Uint8Array) {
    this.crypto = crypto
    this.hash = hash
    this.#secret = secret
  }

  protected derive(label: string, transcriptHash: Uint8Array): Uint8Array {
    return hkdfExpandLabel(this.crypto, this.hash, this.#secret, label, transcriptHash, HASH_BYTES[this.hash])
  }

  /** Mixes new input into the chain and wipes this stage. */
  protected advance(input: Uint8Array): Uint8Array {
    const salt = this.derive(LABEL.derived, hashOfNothing(this.crypto, this.hash))
    const next = hkdfExtract(this.crypto, this.hash, salt, input)
    salt.fill(0)
    this.#secret.fill(0)
    return next
  }

  /** Ends the chain. */
  wipe(): void {
    this.#secret.fill(0)
  }

  [Symbol.dispose](): void {
    this.wipe()
  }
}

export class EarlyStage extends Stage {
  /** The key of the Finished-like MAC that binds a pre-shared key to a ClientHello (RFC 8446 §4.2.11.2, RFC 9258 §5.2). */
  binderKey(origin: PreSharedKeyOrigin): Uint8Array {
    return this.derive(BINDER_LABEL[origin], hashOfNothing(this.crypto, this.hash))
  }

  /** The secret that protects early data, from the transcript up to ClientHello. */
  clientTraffic(transcriptHash: Uint8Array): Uint8Array {
    return this.derive(LABEL.clientEarlyTraffic, transcriptHash)
  }

  /** From the transcript up to ClientHello. */
  exporterSecret(transcriptHash: Uint8Array): Uint8Array {
    return this.derive(LABEL.earlyExporterMaster, transcriptHash)
  }

  /** Mixes in the (EC)DHE secret, and wipes it and this stage. */
  handshake(sharedSecret: Uint8Array): HandshakeStage {
    const next = new HandshakeStage(this.crypto, this.hash, this.advance(sharedSecret))
    sharedSecret.fill(0)
    return next
  }
}

export class HandshakeStage extends Stage {
  /** The secrets that protect the handshake, from the transcript up to ServerHello. */
  traffic(transcriptHash: Uint8Array): TrafficSecrets {
    return {
      client: this.derive(LABEL.clientHandshakeTraffic, transcriptHash),
      server: this.derive(LABEL.serverHandshakeTraffic, transcriptHash),
    }
  }

  /** Goes on to the master secret, and wipes this stage. */
  master(): MasterStage {
    return new MasterStage(this.crypto, this.hash, this.advance(ZEROS[this.hash]))
  }
}

export class MasterStage extends Stage {
  /** The secrets that protect application data, from the transcript up to the server's Finished. */
  traffic(transcriptHash: Uint8Array): TrafficSecrets {
    return {
      client: this.derive(LABEL.clientApplicationTraffic, transcriptHash),
      server: this.derive(LABEL.serverApplicationTraffic, transcriptHash),
    }
  }

  /** From the transcript up to the server's Finished. */
  exporterSecret(transcriptHash: Uint8Array): Uint8Array {
    return this.derive(LABEL.exporterMaster, transcriptHash)
  }

  /** What tickets are made from, from the transcript up to the client's Finished. */
  resumptionSecret(transcriptHash: Uint8Array): Uint8Array {
    return this.derive(LABEL.resumptionMaster, transcriptHash)
  }
}

/** The transcript hash before any message; the same each time, whoever computes it. */
function hashOfNothing(crypto: CryptoProvider, hash: HashName): Uint8Array {
  return (hashesOfNothing[hash] ??= crypto.digest(hash, NOTHING))
}

const hashesOfNothing: Partial<Record<HashName, Uint8Array>> = {}

/** HKDF-Expand-Label of RFC 8446 §7.1. */
export function hkdfExpandLabel(
  crypto: CryptoProvider,
  hash: HashName,
  secret: Uint8Array,
  label: string,
  context: Uint8Array,
  length: number,
): Uint8Array {
  const info = labelWriter
    .restart()
    .uint16(length)
    .bytes8(encodedLabels.get(label) ?? encodeLabel(label))
    .bytes8(context)
  // Exported keying material may be long; all else is one block.
  return length > HASH_BYTES[hash]
    ? hkdfExpand(crypto, hash, secret, info.written, length)
    : hkdfExpandOnce(crypto, hash, secret, info.uint8(1).written, length)
}

function encodeLabel(label: string): Uint8Array {
  return utf8(`tls13 ${label}`)
}

/** Our own; those of exporters are anybody's. */
const encodedLabels: ReadonlyMap<string, Uint8Array> = new Map(
  Object.values(LABEL).map((label) => [label, encodeLabel(label)]),
)

/** A handshake expands some fifty labels; what a label says is no secret. */
const labelWriter = new Writer()

/** The verify_data of a Finished message (RFC 8446 §4.4.4). */
export function finishedMac(
  crypto: CryptoProvider,
  hash: HashName,
  trafficSecret: Uint8Array,
  transcriptHash: Uint8Array,
): Uint8Array {
  const key = hkdfExpandLabel(crypto, hash, trafficSecret, LABEL.finished, NOTHING, HASH_BYTES[hash])
  const mac = crypto.hmac(hash, key, transcriptHash)
  key.fill(0)
  return mac
}

/** The next generation of an application traffic secret (RFC 8446 §7.2); the old one is wiped. */
export function updatedTrafficSecret(crypto: CryptoProvider, hash: HashName, secret: Uint8Array): Uint8Array {
  const next = hkdfExpandLabel(crypto, hash, secret, LABEL.trafficUpdate, NOTHING, HASH_BYTES[hash])
  secret.fill(0)
  return next
}

/** The pre-shared key of one ticket (RFC 8446 §4.6.1). */
export function ticketPreSharedKey(
  crypto: CryptoProvider,
  hash: HashName,
  resumptionSecret: Uint8Array,
  nonce: Uint8Array,
): Uint8Array {
  return hkdfExpandLabel(crypto, hash, resumptionSecret, LABEL.resumption, nonce, HASH_BYTES[hash])
}

/** Keying material for a use outside TLS, bound to the connection (RFC 8446 §7.5). */
export function exportKeyingMaterial(
  crypto: CryptoProvider,
  hash: HashName,
  exporterSecret: Uint8Array,
  request: { readonly label: string; readonly context: Uint8Array; readonly length: number },
): Uint8Array {
  const none = hashOfNothing(crypto, hash)
  const secret = hkdfExpandLabel(crypto, hash, exporterSecret, request.label, none, HASH_BYTES[hash])
  const context = crypto.digest(hash, request.context)
  const material = hkdfExpandLabel(crypto, hash, secret, LABEL.exporter, context, request.length)
  secret.fill(0)
  return material
}

/** What records are protected with (RFC 8446 §7.3). */
export function trafficKeys(
  crypto: CryptoProvider,
  { hash, aead }: CipherSuiteParameters,
  secret: Uint8Array,
): { readonly key: Uint8Array; readonly iv: Uint8Array } {
  return {
    key: hkdfExpandLabel(crypto, hash, secret, LABEL.key, NOTHING, AEAD_KEY_BYTES[aead]),
    iv: hkdfExpandLabel(crypto, hash, secret, LABEL.iv, NOTHING, AEAD_NONCE_BYTES),
  }
}
