/** Values that mean nothing, sent so that peers keep ignoring what they do not know (RFC 8701). */
import type { CryptoProvider } from '../../crypto/provider.ts'
import { Extensions } from '../messages/extensions.ts'
import { ExtensionType, greaseCode } from '../registry.ts'

/** The reserved values of one connection, by where they stand. */
export interface Grease {
  readonly cipherSuite: number
  readonly group: number
  readonly version: number
  readonly signatureScheme: number
  readonly emptyExtension: number
  readonly longExtension: number
}

/** Draws the values of a connection. */
export function drawGrease(crypto: CryptoProvider): Grease {
  const random = crypto.random(6)
  const value = (index: number): number => greaseCode(random[index]! >>> 4)
  const emptyExtension = random[4]! >>> 4
  // Two extensions must differ.
  const longExtension = (emptyExtension + 1 + (random[5]! % 15)) % 16
  return {
    cipherSuite: value(0),
    group: value(1),
    version: value(2),
    signatureScheme: value(3),
    emptyExtension: greaseCode(emptyExtension),
    longExtension: greaseCode(longExtension),
  }
}

/** The same extensions in random order, two meaningless ones among them. pre_shared_key, which must be last, is not here yet. */
export function greaseExtensions(
  crypto: CryptoProvider,
  extensions: Extensions<'client_hello'>,
  grease: Grease,
): Extensions<'client_hello'> {
  const all = Extensions.from(extensions)
    .addUnknown(grease.emptyExtension, new Uint8Array(0))
    .addUnknown(grease.longExtension, Uint8Array.of(0))
  return all.inOrder(shuffled(crypto, all.types))
}

/** Fisher and Yates, with enough random bits that the bias does not matter. */
function shuffled(crypto: CryptoProvider, types: readonly number[]): number[] {
  const order = [...types]
  const random = crypto.random(order.length * 4)
  const view = new DataView(random.buffer, random.byteOffset)
  for (let i = order.length - 1; i > 0; i--) {
    const j = view.getUint32(i * 4) % (i + 1)
    const moved = order[i]!
    order[i] = order[j]!
    order[j] = moved
  }
  const last = order.indexOf(ExtensionType.pre_shared_key)
  return last === -1
    ? order
    : [...order.filter((type) => type !== ExtensionType.pre_shared_key), ExtensionType.pre_shared_key]
}
