import { printable } from './printable.ts'

const UTF8 = new TextDecoder('utf-8', { fatal: true })

/** The identity of a pre-shared key: quoted where it is text, else in hexadecimal. */
export function identityText(identity: Uint8Array): string {
  try {
    return `"${printable(UTF8.decode(identity))}"`
  } catch {
    return `0x${printable(identity.toHex())}`
  }
}
