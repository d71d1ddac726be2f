/** A key that both sides were given beforehand, from a file. */
import { TlsError } from '../../tls/errors.ts'
import type { ExternalPsk } from '../../tls/session/external-psk.ts'
import { UsageError } from '../errors.ts'
import { parseContents, readSecretFile } from '../files.ts'
import { quoted } from '../flags.ts'

/** RFC 9257 §6: keys have at least 128 bits of entropy, so they have that many bits. */
const MIN_KEY_BYTES = 16

const HASHES = ['sha256', 'sha384'] as const

interface PskFlags {
  readonly 'psk-identity'?: string
  readonly 'psk-file'?: string
  readonly 'psk-hash'?: string
}

/** Undefined where no key is named. @throws UsageError, ConfigError */
export async function readExternalPsk(flags: PskFlags): Promise<ExternalPsk | undefined> {
  const { 'psk-identity': identity, 'psk-file': path, 'psk-hash': hash = HASHES[0] } = flags
  if (path === undefined) {
    const stray = (['psk-identity', 'psk-hash'] as const).find((name) => flags[name] !== undefined)
    if (stray === undefined) return undefined
    throw new UsageError(`--psk-file: expected the file of the key that --${stray} is about, got nothing`)
  }
  if (identity === undefined || identity === '')
    throw new UsageError(
      `--psk-identity: expected what both sides call the key, got ${quoted(identity ?? '')}`,
    )
  const known = HASHES.find((name) => name === hash)
  if (known === undefined)
    throw new UsageError(`--psk-hash: expected ${HASHES.join(' or ')}, got ${quoted(hash)}`)
  const file = { path, field: '--psk-file' }
  const text = await readSecretFile(file)
  const key = parseContents(file, `a key of at least ${MIN_KEY_BYTES} bytes in hexadecimal`, () =>
    keyOf(text),
  )
  return { identity: Buffer.from(identity, 'utf8'), key, hash: known }
}

/** The message does not repeat what may be a secret. */
function keyOf(text: string): Uint8Array {
  const hex = text.trim()
  if (!/^(?:[0-9a-f]{2})*$/i.test(hex)) throw new TlsError('TLS_BAD_OPTIONS', 'It is not hexadecimal')
  const key = Uint8Array.fromHex(hex)
  if (key.length >= MIN_KEY_BYTES) return key
  throw new TlsError('TLS_BAD_OPTIONS', `It has ${key.length} bytes`)
}
