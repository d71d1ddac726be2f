import { readAll } from '../../bytes/reader.ts'
import { Writer } from '../../bytes/writer.ts'
import { TlsError } from '../errors.ts'
import type { Codec } from './extension-codecs.ts'

/** RFC 8446 §4.2.9: a pre-shared key with (EC)DHE, the only mode spoken here. */
export const PSK_DHE_KE = 1

export interface PskIdentity {
  readonly identity: Uint8Array
  /** The ticket's age in milliseconds plus ticket_age_add, modulo 2^32. */
  readonly obfuscatedAge: number
}

/** What a ClientHello offers to resume from (RFC 8446 §4.2.11). */
export interface OfferedPsks {
  readonly identities: readonly PskIdentity[]
  /** One for each identity. */
  readonly binders: readonly Uint8Array[]
}

export const offeredPsks: Codec<OfferedPsks> = {
  read: (contents) =>
    readAll(contents, 'pre_shared_key', (reader) => {
      const identities = reader.vector16(
        'identities',
        (list) =>
          list.each((item) => ({
            identity: item.bytes16('identity', { min: 1 }),
            obfuscatedAge: item.uint32('obfuscated_ticket_age'),
          })),
        { min: 7 },
      )
      const binders = reader.vector16(
        'binders',
        // One that is too short for its hash is wrong rather than malformed: it fails where binders are checked.
        (list) => list.each((item) => item.bytes8('binder')),
        { min: 1 },
      )
      if (binders.length === identities.length) return { identities, binders }
      throw new TlsError(
        'TLS_ILLEGAL_PARAMETER',
        `pre_shared_key has ${identities.length} identities and ${binders.length} binders`,
      )
    }),
  write: (writer, { identities, binders }) => {
    writer.vector16((list) => {
      for (const { identity, obfuscatedAge } of identities) list.bytes16(identity).uint32(obfuscatedAge)
    })
    writeBinders(writer, binders)
  },
}

function writeBinders(writer: Writer, binders: readonly Uint8Array[]): void {
  writer.vector16((list) => {
    for (const binder of binders) list.bytes8(binder)
  })
}

/** The end of a ClientHello that offers keys: what its binders do not cover. */
export function encodeBinders({ binders }: Pick<OfferedPsks, 'binders'>): Uint8Array {
  const writer = new Writer()
  writeBinders(writer, binders)
  return writer.finish()
}

/** How many bytes at the end of a ClientHello the binders take, which therefore do not cover them. */
export function bindersLength({ binders }: Pick<OfferedPsks, 'binders'>): number {
  return binders.reduce((length, binder) => length + 1 + binder.length, 2)
}
