/** The flags that name what is revoked, and what the controller answers, as text. */
import { readFile } from 'node:fs/promises'
import { nativeCrypto } from '../../crypto/native-provider.ts'
import { messageOf } from '../../errors.ts'
import { revokedText, type RevokedSubject } from '../../identity/revocations.ts'
import { SpiffeId } from '../../identity/spiffe-id.ts'
import { parseCertificate } from '../../pki/certificate.ts'
import { decodePem } from '../../pki/pem.ts'
import type { RevocationAnswer, RevocationReport } from '../controller/revocation.ts'
import { UsageError } from '../errors.ts'
import { quoted } from '../flags.ts'
import { parseSerial } from './serial-flag.ts'

/** Flags of whoever names a controller and something to revoke. */
export const SUBJECT_OPTIONS = {
  serial: { type: 'string' },
  'spiffe-id': { type: 'string' },
  issuer: { type: 'string' },
  config: { type: 'string' },
  'state-dir': { type: 'string' },
  json: { type: 'boolean', default: false },
} as const

interface SubjectFlags {
  readonly serial?: string | undefined
  readonly 'spiffe-id'?: string | undefined
  readonly issuer?: string | undefined
}

/** What the flags name, as the controller is asked. */
export interface NamedSubject {
  readonly subject: RevokedSubject
  /** When the certificate of an issuer ends, if it was given. */
  readonly issuerEndsAtMs?: number
}

/** @throws UsageError unless exactly one of the flags is there, and names something */
export async function namedSubject(flags: SubjectFlags): Promise<NamedSubject> {
  const { serial, issuer, 'spiffe-id': spiffeId } = flags
  const given = [serial, spiffeId, issuer].filter((flag) => flag !== undefined)
  if (given.length !== 1)
    throw new UsageError(
      `Expected one of --serial HEX, --spiffe-id ID and --issuer HEX|FILE, got ${given.length === 0 ? 'none' : given.length}`,
    )
  if (serial !== undefined) return { subject: { kind: 'serial', serialNumber: parseSerial(serial) } }
  if (spiffeId !== undefined) return { subject: { kind: 'identity', spiffeId: parseId(spiffeId) } }
  return issuerNamed(issuer!)
}

function parseId(text: string): string {
  try {
    return SpiffeId.parse(text).toString()
  } catch (error) {
    throw new UsageError(`--spiffe-id: ${messageOf(error)}`, { cause: error })
  }
}

async function issuerNamed(text: string): Promise<NamedSubject> {
  const digits = text.replaceAll(':', '').toLowerCase()
  if (/^[0-9a-f]{64}$/.test(digits)) return { subject: { kind: 'issuer', keySha256: digits } }
  try {
    const [der] = decodePem(await readFile(text, 'utf8'), 'CERTIFICATE')
    const { publicKey, notAfterMs } = parseCertificate(der!)
    const keySha256 = nativeCrypto().digest('sha256', publicKey.spki).toHex()
    return { subject: { kind: 'issuer', keySha256 }, issuerEndsAtMs: notAfterMs }
  } catch (error) {
    throw new UsageError(
      `--issuer: expected the SHA-256 of the public key as 64 hexadecimal digits, or a PEM file of the certificate, got ${quoted(text)}: ${messageOf(error)}`,
      { cause: error },
    )
  }
}

/** One revocation in a few lines. */
export function revocationText({ subject, revoked, reason, ends }: RevocationReport): string {
  return `${revokedText(subject)}
  revoked   ${revoked}
  until     ${ends ?? 'it is taken back: handfast ca unrevoke'}
  reason    ${reason === '' ? '-' : reason}
`
}

/** How far a change has come. */
export function proxiesText({ proxies, tookMs }: RevocationAnswer): string {
  const { connected, acknowledged, lagging } = proxies
  const done = `In force at ${acknowledged} of ${connected} connected proxies after ${tookMs} ms\n`
  const missing = connected - acknowledged
  if (missing === 0) return done
  const more = missing > lagging.length ? `\n  and ${missing - lagging.length} more` : ''
  return `${done}Not acknowledged yet:\n${lagging.map((name) => `  ${name}`).join('\n')}${more}\n`
}
