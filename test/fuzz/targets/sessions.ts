import { equalBytes, utf8 } from '../../../src/bytes/bytes.ts'
import { DecodeError } from '../../../src/bytes/errors.ts'
import { Writer } from '../../../src/bytes/writer.ts'
import { decodeSession } from '../../../src/cmd/tls/session-file.ts'
import { nativeCrypto } from '../../../src/crypto/native-provider.ts'
import { CertificateError } from '../../../src/pki/errors.ts'
import { decodePem, encodePem } from '../../../src/pki/pem.ts'
import { TlsError } from '../../../src/tls/errors.ts'
import { negotiationPolicy } from '../../../src/tls/policy.ts'
import { CIPHER_SUITES } from '../../../src/tls/registry.ts'
import { openCookie, sealCookie } from '../../../src/tls/server/cookie.ts'
import { decodeClientTicket, encodeClientTicket } from '../../../src/tls/session/client-ticket-codec.ts'
import type { ClientTicket } from '../../../src/tls/session/resumption.ts'
import { CLIENT_ID, NOW_MS, type Workloads } from '../../support/tls-workloads.ts'
import { magnitude, outcomeOf, Violation, type FuzzTarget } from '../target.ts'

const crypto = nativeCrypto()

/** What a server gives away to be reminded of, and what a client keeps for later. */
export function sessionTargets(workloads: Workloads): readonly FuzzTarget[] {
  const tickets = ticketsOf(workloads)
  return [cookieTarget(), clientTicketTarget(tickets), sessionFileTarget(tickets)]
}

const MAC_BYTES = 32

/** The first byte says whether the MAC is made right, as if another version of us had sent the cookie. */
function cookieTarget(): FuzzTarget {
  const key = new Uint8Array(32).fill(7)
  const policy = negotiationPolicy({ crypto, nowMs: () => NOW_MS }, 'server')
  const cookies = CIPHER_SUITES.map((suite) =>
    sealCookie(crypto, key, { suite, group: 'x25519', helloHash: new Uint8Array(32) }),
  )
  const genuine = new Set(cookies.map((cookie) => cookie.toHex()))
  return {
    name: 'cookie',
    seeds: cookies.flatMap((cookie) => [Uint8Array.of(0, ...cookie), Uint8Array.of(1, ...cookie)]),
    run: (input) =>
      outcomeOf(
        () => {
          const isForged = (input[0]! & 1) === 0
          const cookie = input.slice(1)
          const state = cookie.subarray(0, Math.max(0, cookie.length - MAC_BYTES))
          if (!isForged && cookie.length > MAC_BYTES)
            cookie.set(crypto.hmac('sha256', key, state), state.length)
          const { suite, group, helloHash } = openCookie(crypto, key, cookie, policy)
          if (isForged && !genuine.has(cookie.toHex()))
            throw new Violation('A cookie was taken that nobody made')
          return `opened: ${suite.name} ${group} ${magnitude(helloHash.length)}`
        },
        DecodeError,
        TlsError,
      ),
  }
}

function ticketsOf({ client }: Workloads): readonly ClientTicket[] {
  const common = {
    ticket: new Uint8Array(32).fill(1),
    preSharedKey: new Uint8Array(32).fill(2),
    cipherSuite: 'TLS_AES_128_GCM_SHA256',
    serverCertificateType: 'X509',
    ageAdd: 5,
    maxEarlyDataBytes: 16_384,
    receivedAtMs: NOW_MS,
    expiresAtMs: NOW_MS + 3_600_000,
  } as const
  const peer = { name: CLIENT_ID, expiresAtMs: NOW_MS + 3_600_000, path: client.chain }
  return [
    { ...common, peer, peerSignatureScheme: 'ed25519', serverName: 'orders.example', alpn: 'h2' },
    { ...common, externalPsk: utf8('shared'), externalPskTag: new Uint8Array(16) },
    { ...common, peer: { ...peer, path: [], rawPublicKey: client.key.publicKey.spki } },
  ]
}

function clientTicketTarget(tickets: readonly ClientTicket[]): FuzzTarget {
  return {
    name: 'client-ticket',
    seeds: tickets.map(encodeClientTicket),
    run: (input) =>
      outcomeOf(
        () => {
          const ticket = decodeClientTicket(input)
          const encoded = encodeClientTicket(ticket)
          if (!equalBytes(encodeClientTicket(decodeClientTicket(encoded)), encoded))
            throw new Violation('The ticket is another one after it was encoded and decoded again')
          return `decoded: ${ticket.cipherSuite} ${ticket.peer?.path.length} ${magnitude(ticket.ticket.length)}`
        },
        DecodeError,
        CertificateError,
        TlsError,
      ),
  }
}

/** The text of a file of sessions, which its owner, and whoever may write there, can change. */
function sessionFileTarget(tickets: readonly ClientTicket[]): FuzzTarget {
  const label = 'HANDFAST SESSION'
  const blocks = tickets.map((ticket) => {
    const session = new Writer().bytes8(new Uint8Array(32)).bytes24(encodeClientTicket(ticket)).finish()
    return encodePem(label, session)
  })
  return {
    name: 'session-file',
    seeds: [...blocks, blocks.join('')].map(utf8),
    run: (input) =>
      outcomeOf(
        () => {
          const sessions = decodePem(Buffer.from(input).toString('utf8'), label).map(decodeSession)
          return `read: ${sessions.map(({ shown }) => shown.length).join()}`
        },
        DecodeError,
        CertificateError,
        TlsError,
      ),
  }
}
