/** What is kept of a connection as bytes: sealed into a server's tickets, and in a client's file of sessions. */
import type { Reader } from '../../bytes/reader.ts'
import type { Writer } from '../../bytes/writer.ts'
import { parseCertificate, type Certificate } from '../../pki/certificate.ts'
import type { VerifiedPeer } from '../../pki/verifier.ts'
import { CertificateType, CIPHER_SUITES, SIGNATURE_SCHEMES } from '../registry.ts'
import type { ResumptionState } from './resumption.ts'

const NOTHING = new Uint8Array(0)

export function writeResumptionState(writer: Writer, state: ResumptionState): void {
  writer.uint16(CIPHER_SUITES.find(({ name }) => name === state.cipherSuite)!.code)
  writer.bytes8(state.preSharedKey)
  writer.uint32(state.ageAdd).uint32(state.maxEarlyDataBytes)
  writeText(writer, state.serverName)
  writeText(writer, state.alpn)
  writer.uint16(SIGNATURE_SCHEMES.find(({ name }) => name === state.peerSignatureScheme)?.code ?? 0)
  writer.uint8(CertificateType[state.serverCertificateType ?? 'X509'])
  // An identity has one byte at least.
  writer.bytes16(state.externalPsk ?? NOTHING)
  writer.bytes8(state.externalPskTag ?? NOTHING)
  writer.vector24((peer) => {
    if (state.peer !== undefined) writePeer(peer, state.peer)
  })
}

/**
 * Reads what {@link writeResumptionState} wrote; undefined when it is of a suite that is not spoken any more.
 *
 * @throws DecodeError, CertificateError
 */
export function readResumptionState(
  reader: Reader,
  readCertificate: (der: Uint8Array) => Certificate = (der) => parseCertificate(der.slice()),
): ResumptionState | undefined {
  const suite = reader.uint16('cipher_suite')
  const cipherSuite = CIPHER_SUITES.find(({ code }) => code === suite)?.name
  const preSharedKey = reader.bytes8('pre_shared_key').slice()
  const ageAdd = reader.uint32('age_add')
  const maxEarlyDataBytes = reader.uint32('max_early_data_size')
  const serverName = readText(reader)
  const alpn = readText(reader)
  const scheme = reader.uint16('signature_scheme')
  const peerSignatureScheme = SIGNATURE_SCHEMES.find(({ code }) => code === scheme)?.name
  const isRaw = reader.uint8('server_certificate_type') === CertificateType.RawPublicKey
  const externalPsk = reader.bytes16('external_psk').slice()
  const externalPskTag = reader.bytes8('external_psk_tag').slice()
  const peer = reader.vector24('peer', (contents) =>
    contents.remaining === 0 ? undefined : readPeer(contents, readCertificate),
  )
  if (cipherSuite === undefined) return undefined
  return {
    cipherSuite,
    preSharedKey,
    ageAdd,
    maxEarlyDataBytes,
    ...(serverName === undefined ? {} : { serverName }),
    ...(alpn === undefined ? {} : { alpn }),
    ...(peerSignatureScheme === undefined ? {} : { peerSignatureScheme }),
    serverCertificateType: isRaw ? 'RawPublicKey' : 'X509',
    ...(externalPsk.length === 0 ? {} : { externalPsk }),
    ...(externalPskTag.length === 0 ? {} : { externalPskTag }),
    ...(peer === undefined ? {} : { peer }),
  }
}

/** Whole milliseconds, in 48 bits. */
export function writeTime(writer: Writer, timeMs: number): void {
  const whole = Math.floor(timeMs)
  writer.uint24(Math.floor(whole / 2 ** 24)).uint24(whole % 2 ** 24)
}

/** Reads what {@link writeTime} wrote. @throws DecodeError */
export function readTime(reader: Reader): number {
  return reader.uint24('time') * 2 ** 24 + reader.uint24('time')
}

function writePeer(writer: Writer, { name, expiresAtMs, path, rawPublicKey }: VerifiedPeer): void {
  writeText(writer, name)
  writeTime(writer, expiresAtMs)
  writer.bytes16(rawPublicKey ?? NOTHING)
  for (const { der } of path) writer.bytes24(der)
}

function readPeer(reader: Reader, readCertificate: (der: Uint8Array) => Certificate): VerifiedPeer {
  const name = readText(reader) ?? ''
  const expiresAtMs = readTime(reader)
  const rawPublicKey = reader.bytes16('raw_public_key').slice()
  const path = reader.each((item) => readCertificate(item.bytes24('certificate')))
  return { name, expiresAtMs, path, ...(rawPublicKey.length === 0 ? {} : { rawPublicKey }) }
}

function writeText(writer: Writer, text: string | undefined): void {
  writer.uint8(text === undefined ? 0 : 1)
  if (text !== undefined) writer.bytes16(Buffer.from(text, 'utf8'))
}

function readText(reader: Reader): string | undefined {
  return reader.uint8('presence') === 0 ? undefined : Buffer.from(reader.bytes16('text')).toString('utf8')
}
