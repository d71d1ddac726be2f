import { connect, TLSSocket } from 'node:tls'
import { formatAddress, type Address } from '../config/address.ts'
import { messageOf, type HandfastError } from '../errors.ts'
import { parseCertificate, type Certificate } from '../pki/certificate.ts'
import type { CertificateVerifier, VerifiedPeer } from '../pki/verifier.ts'
import { TlsError } from '../tls/errors.ts'
import { CipherSuite, type CipherSuiteName } from '../tls/registry.ts'
import type { TraceEvent } from '../tls/trace.ts'
import { ConnectionDuplex } from './duplex.ts'
import type { SecureLimits } from './engine-connection.ts'
import { opensslContext, type OpensslCredential } from './openssl-context.ts'
import { opensslError } from './openssl-errors.ts'
import { RawEnd } from './raw-end.ts'
import type { SecuredConnection, SecuredSession } from './secured.ts'
import type { Connection, ConnectionHandlers } from './transport.ts'

export interface OpensslOptions {
  readonly credential: OpensslCredential
  /** Judges the peer's whole chain, before anyone gets a byte. */
  readonly verifier: CertificateVerifier
  /** Wall clock, in milliseconds since the Unix epoch. */
  readonly nowMs: () => number
  /** Told of what OpenSSL lets us know of the handshake. */
  readonly trace: (event: TraceEvent) => void
}

/** More than any chain that is accepted. */
const MAX_CHAIN = 16

/**
 * Speaks mutual TLS 1.3 as the client, by node:tls, over `connection`, which it takes over.
 *
 * OpenSSL proves possession of the key and guards the transcript; whose certificate it is, our own verifier decides. Its refusal
 * reaches the peer as a broken connection, because node:tls sends no alert on our behalf.
 *
 * @throws TlsError, or NetError
 */
export function opensslClient(
  connection: Connection,
  options: OpensslOptions,
  limits: SecureLimits,
): Promise<SecuredConnection> {
  return secured('client', connection, { options, limits })
}

/** The same as the server. @throws TlsError, or NetError */
export function opensslServer(
  connection: Connection,
  options: OpensslOptions,
  limits: SecureLimits,
): Promise<SecuredConnection> {
  return secured('server', connection, { options, limits })
}

interface Handshake {
  readonly options: OpensslOptions
  readonly limits: SecureLimits
}

function secured(
  role: 'client' | 'server',
  connection: Connection,
  { options, limits }: Handshake,
): Promise<SecuredConnection> {
  const { deadlineMs, onFailure } = limits
  return new Promise((resolve, reject) => {
    const ends = new RawEnd(connection)
    const socket = socketOf(role, new ConnectionDuplex(ends), options.credential)
    const timer = setTimeout(() => fail(late(connection, deadlineMs)), deadlineMs)
    socket.once(role === 'client' ? 'secureConnect' : 'secure', established)
    socket.on('error', failed)
    socket.once('close', closed)
    ends.onEnd = closed

    function established(): void {
      let session: SecuredSession
      try {
        session = judge(role, socket, options)
      } catch (thrown) {
        fail(asRefusal(thrown))
        return
      }
      settle()
      resolve(new OpensslConnection(connection, socket, { ends, session, limits }))
    }
    function failed(error: Error): void {
      fail(opensslError(error))
    }
    function closed(): void {
      fail(new TlsError('TLS_HANDSHAKE_TRUNCATED', 'The connection closed in the handshake'))
    }
    function fail(error: HandfastError): void {
      settle()
      socket.on('error', () => {})
      socket.destroy()
      connection.abort()
      if (error instanceof TlsError) options.trace({ kind: 'failed', error, atMs: options.nowMs() })
      onFailure?.(error, [])
      reject(error)
    }
    function settle(): void {
      clearTimeout(timer)
      socket.removeListener('error', failed)
      socket.removeListener('close', closed)
      ends.onEnd = () => {}
    }
  })
}

function socketOf(
  role: 'client' | 'server',
  raw: ConnectionDuplex,
  credential: OpensslCredential,
): TLSSocket {
  const secureContext = opensslContext(credential)
  // OpenSSL would judge by its own store and rules; `judge` does, before any byte is read.
  const common = { secureContext, rejectUnauthorized: false, allowHalfOpen: true }
  return role === 'client'
    ? connect({ ...common, socket: raw, checkServerIdentity: () => undefined })
    : new TLSSocket(raw, {
        ...common,
        isServer: true,
        requestCert: true,
      })
}

/** What the handshake has proven. @throws CertificateError, TlsError: then nothing passes */
function judge(
  role: 'client' | 'server',
  socket: TLSSocket,
  { verifier, nowMs, trace }: OpensslOptions,
): SecuredSession {
  // A session that is taken up again shows no chain that could be judged; none was ever offered.
  if (socket.isSessionReused())
    throw new TlsError('TLS_INTERNAL', 'OpenSSL resumed a session, which it was told not to')
  if (socket.getProtocol() !== 'TLSv1.3')
    throw new TlsError('TLS_INTERNAL', `OpenSSL agreed on ${socket.getProtocol() ?? 'no version'}`)
  const chain = presentedChain(socket)
  if (chain.length === 0) throw new TlsError('TLS_CERTIFICATE_REQUIRED', 'The peer showed no certificate')
  const peer = verifier.verify(chain, { peerRole: role === 'client' ? 'server' : 'client', nowMs: nowMs() })
  const session = sessionOf(role, socket, peer)
  const { cipherSuite, group } = session
  const atMs = nowMs()
  if (group !== undefined)
    trace({ kind: 'agreed', version: 'TLS 1.3', cipherSuite, group, resumed: false, atMs })
  trace({ kind: 'identity', name: peer.name, expiresAtMs: peer.expiresAtMs, path: peer.path, atMs })
  trace({ kind: 'transcript', atMs })
  trace({ kind: 'established', atMs })
  return session
}

/** Leaf first, as far as OpenSSL could put it in order. */
function presentedChain(socket: TLSSocket): Certificate[] {
  const chain: Certificate[] = []
  let next = socket.getPeerX509Certificate()
  while (next !== undefined && chain.length < MAX_CHAIN) {
    chain.push(parseCertificate(Uint8Array.from(next.raw)))
    next = next.issuerCertificate
  }
  return chain
}

function sessionOf(role: 'client' | 'server', socket: TLSSocket, peer: VerifiedPeer): SecuredSession {
  const { standardName } = socket.getCipher()
  if (!(standardName in CipherSuite))
    throw new TlsError('TLS_INTERNAL', `OpenSSL agreed on the suite ${standardName}`)
  const group = role === 'client' ? groupOf(socket) : undefined
  return {
    role,
    version: 'TLS 1.3',
    cipherSuite: standardName as CipherSuiteName,
    resumed: false,
    peer,
    ...(group !== undefined && { group }),
    ...(typeof socket.servername === 'string' && { serverName: socket.servername }),
  }
}

const GROUP_NAMES: Readonly<Record<string, NonNullable<SecuredSession['group']>>> = {
  X25519: 'x25519',
  prime256v1: 'secp256r1',
  secp384r1: 'secp384r1',
  X25519MLKEM768: 'X25519MLKEM768',
}

function groupOf(socket: TLSSocket): SecuredSession['group'] {
  const info = socket.getEphemeralKeyInfo()
  const name = info !== null && 'name' in info ? info.name : undefined
  return typeof name === 'string' ? GROUP_NAMES[name] : undefined
}

function asRefusal(thrown: unknown): HandfastError {
  if (thrown instanceof TlsError) return thrown
  return new TlsError('TLS_CERTIFICATE_REJECTED', messageOf(thrown), { cause: thrown })
}

function late(connection: Connection, deadlineMs: number): TlsError {
  const peer = formatAddress(connection.remote)
  return new TlsError(
    'TLS_HANDSHAKE_TIMEOUT',
    `The handshake with ${peer} was not complete after ${deadlineMs} ms`,
  )
}

class OpensslConnection implements SecuredConnection {
  readonly local: Address
  readonly remote: Address
  readonly session: SecuredSession
  readonly #raw: Connection
  readonly #socket: TLSSocket
  readonly #ends: RawEnd
  readonly #limits: SecureLimits
  #handlers: ConnectionHandlers | undefined
  #error: HandfastError | undefined
  #peerEnded = false
  #isAborted = false
  #isClosed = false

  constructor(
    raw: Connection,
    socket: TLSSocket,
    {
      ends,
      session,
      limits,
    }: { readonly ends: RawEnd; readonly session: SecuredSession; readonly limits: SecureLimits },
  ) {
    this.local = raw.local
    this.remote = raw.remote
    this.session = session
    this.#raw = raw
    this.#socket = socket
    this.#ends = ends
    this.#limits = limits
    socket.on('error', (error) => this.#fail(opensslError(error)))
    socket.on('close', () => this.#close())
    socket.once('finish', () => this.#bothEnded())
  }

  attach(handlers: ConnectionHandlers): void {
    this.#handlers = handlers
    if (this.#isClosed) {
      queueMicrotask(() => handlers.closed(this.#error))
      return
    }
    this.#socket.on('data', (bytes: Buffer) => {
      handlers.data(bytes)
      if (this.#ends.hasEnded) this.#lookForEnd()
    })
    this.#socket.on('end', () => {
      this.#peerEnded = true
      this.#bothEnded()
      handlers.end()
    })
    this.#socket.on('drain', () => handlers.drain())
    this.#ends.onEnd = () => this.#lookForEnd()
    if (this.#ends.hasEnded) this.#lookForEnd()
  }

  write(bytes: Uint8Array, ownership: 'lent' | 'given' = 'lent'): boolean {
    if (this.#socket.destroyed || this.#socket.writableEnded) return true
    return this.#socket.write(ownership === 'given' ? bytes : Buffer.from(bytes))
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    if (this.#handlers !== undefined) this.#socket.resume()
  }

  end(): void {
    this.#socket.end()
  }

  abort(): void {
    if (this.#isAborted) return
    this.#isAborted = true
    this.#socket.destroy()
    this.#raw.abort()
  }

  /** TCP has ended; OpenSSL has read all that came. When nothing of it is left, its close_notify has shown, or there was none. */
  #lookForEnd(): void {
    if (this.#peerEnded || this.#socket.readableLength > 0) return
    setImmediate(() => {
      if (this.#peerEnded || this.#isClosed || this.#socket.readableLength > 0) return
      this.#fail(new TlsError('TLS_TRUNCATED', 'TCP ended without close_notify'))
    })
  }

  #bothEnded(): void {
    if (this.#peerEnded && this.#socket.writableFinished) this.#ends.letEnd()
  }

  #fail(error: HandfastError): void {
    if (this.#isAborted || this.#isClosed || this.#error !== undefined) return
    this.#error = error
    this.#limits.onFailure?.(error, [])
    this.#socket.destroy()
    this.#raw.abort()
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#handlers?.closed(this.#error)
  }
}
