import { concat } from '../../../src/bytes/bytes.ts'
import { DecodeError } from '../../../src/bytes/errors.ts'
import { nativeCrypto } from '../../../src/crypto/native-provider.ts'
import { TlsError } from '../../../src/tls/errors.ts'
import { MessageAssembler } from '../../../src/tls/messages/handshake-message.ts'
import { RecordFramer } from '../../../src/tls/record/framer.ts'
import { RecordReader } from '../../../src/tls/record/reader.ts'
import { CIPHER_SUITES, ContentType } from '../../../src/tls/registry.ts'
import { identityAeads } from '../../support/identity-aead.ts'
import { takeApart } from '../handshake/flight.ts'
import { magnitude, outcomeOf, Violation, type FuzzTarget } from '../target.ts'
import type { LiveTraffic } from './live-messages.ts'

/** What frames, opens and joins, before anything is understood. */
export function tlsRecordTargets(live: LiveTraffic): readonly FuzzTarget[] {
  return [framerTarget(live), assemblerTarget(live), readerTarget(live)]
}

/** What reading a stream came to. */
interface Reading {
  readonly outcome: string
  /** Of everything that was delivered, which is too much to tell. */
  readonly digest: number
}

/** The first byte says in pieces of which size the rest arrives: it must not make a difference. */
function inPieces(
  name: string,
  seeds: readonly Uint8Array[],
  read: (pieces: Iterable<Uint8Array>) => Reading,
): FuzzTarget {
  return {
    name,
    seeds: seeds.map((seed, index) => Uint8Array.of(1 + (index % 9), ...seed)),
    run(input) {
      const size = 1 + (input[0] ?? 0)
      const stream = input.subarray(1)
      return same(read([stream.slice()]), read(pieces(stream, size)))
    },
  }
}

/** The outcome of both. @throws Violation when they differ */
function same(whole: Reading, pieced: Reading): string {
  if (essence(whole) === essence(pieced)) return whole.outcome
  throw new Violation(`In pieces it came to ${essence(pieced)}, at once to ${essence(whole)}`)
}

/** How much of a peer that is not TLS is shown depends on how much of it has come. */
function essence({ outcome, digest }: Reading): string {
  return `${outcome.replace(/^TLS_NOT_TLS:.* after/, 'TLS_NOT_TLS after')} (${digest})`
}

function* pieces(stream: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < stream.length; at += size) yield stream.slice(at, at + size)
}

function framerTarget({ flights }: LiveTraffic): FuzzTarget {
  return inPieces('record-framer', flights, (input) => {
    const framer = new RecordFramer()
    let digest = 0
    let records = 0
    const outcome = outcomeOf(() => {
      for (const piece of input) {
        framer.push(piece, (record) => {
          records++
          digest = fingerprint(digest, record)
          return true
        })
      }
      return framer.isAtBoundary ? 'at a boundary' : 'within a record'
    }, TlsError)
    return { outcome: `${outcome} after ${magnitude(records)}`, digest }
  })
}

function assemblerTarget({ flights }: LiveTraffic): FuzzTarget {
  const streams = flights.flatMap((flight) =>
    takeApart(flight)!.flatMap(({ type, units }) =>
      type === ContentType.handshake ? [concat(...units)] : [],
    ),
  )
  return inPieces('message-assembler', streams, (input) => {
    const assembler = new MessageAssembler()
    const seen: string[] = []
    let digest = 0
    const outcome = outcomeOf(() => {
      for (const piece of input) {
        assembler.push(piece)
        for (let message = assembler.take(); message !== undefined; message = assembler.take()) {
          seen.push(`${message.type} ${magnitude(message.bytes.length)}`)
          digest = fingerprint(digest, message.bytes)
        }
      }
      return assembler.isEmpty ? 'whole' : 'unfinished'
    }, TlsError)
    return { outcome: `${outcome} after ${firstOf(seen)}`, digest }
  })
}

/** Bits: keys, of data, early data to skip, a limit on lengths. */
const MODES = [0, 1, 3, 4, 5, 9]

const SECRET = new Uint8Array(32)

/** The first byte also says how the reader stands: in plaintext, under keys, skipping early data. */
function readerTarget({ flights }: LiveTraffic): FuzzTarget {
  const crypto = identityAeads(nativeCrypto())
  const target =
    (mode: number) =>
    (input: Iterable<Uint8Array>): Reading => {
      const told: string[] = []
      let digest = 0
      let dataBytes = 0
      const tell =
        (what: string) =>
        (bytes: Uint8Array): void => {
          told.push(`${what} ${magnitude(bytes.length)}`)
          digest = fingerprint(digest, bytes)
        }
      using reader = new RecordReader(crypto, {
        handshake: tell('handshake'),
        alert: tell('alert'),
        changeCipherSpec: tell('change_cipher_spec'),
        // Records that come at once are delivered at once.
        applicationData(bytes) {
          if (told.at(-1) !== 'data') told.push('data')
          dataBytes += bytes.length
          digest = fingerprint(digest, bytes)
        },
      })
      if ((mode & 1) !== 0)
        reader.protect(CIPHER_SUITES[0]!, SECRET, (mode & 2) === 0 ? 'handshake' : 'application')
      if ((mode & 4) !== 0) reader.skipEarlyData()
      if ((mode & 8) !== 0) reader.limit(64)
      const outcome = outcomeOf(
        () => {
          for (const piece of input) reader.receive(piece)
          return 'read'
        },
        TlsError,
        DecodeError,
      )
      return { outcome: `${outcome} after ${firstOf(told)} ${magnitude(dataBytes)}`, digest }
    }
  return {
    name: 'record-reader',
    seeds: flights.map((flight, index) => Uint8Array.of(MODES[index % MODES.length]!, ...flight)),
    run(input) {
      const mode = input[0] ?? 0
      const stream = input.subarray(1)
      return same(target(mode)([stream.slice()]), target(mode)(pieces(stream, 1 + (mode >>> 4))))
    },
  }
}

/** More tells no more ways apart. */
const TOLD = 6

function firstOf(told: readonly string[]): string {
  return `${told.slice(0, TOLD).join()} ${magnitude(told.length)}`
}

function fingerprint(digest: number, bytes: Uint8Array): number {
  return bytes.reduce((sum, byte) => Math.imul(sum ^ byte, 0x0100_0193), digest)
}
