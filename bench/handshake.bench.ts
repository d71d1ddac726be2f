/**
 * Full handshakes with client certificates, and bulk data, by the engine and by node:tls: client and server in one
 * process, on one thread, without sockets. Interleaved; the medians are shown. Only the ratios mean anything on
 * another machine. Run it with `node bench/handshake.bench.ts`.
 */
import { once } from 'node:events'
import { duplexPair } from 'node:stream'
import { connect, createSecureContext, TLSSocket, type SecureContext } from 'node:tls'
import { nativeCrypto } from '../src/crypto/native-provider.ts'
import type { GroupName } from '../src/crypto/provider.ts'
import { encodePem } from '../src/pki/pem.ts'
import { TlsConnection } from '../src/tls/connection.ts'
import type { ConnectionHandlers } from '../src/tls/handlers.ts'
import { pemOf } from '../test/support/certificates.ts'
import { mintWorkloads, verifierFor, type Workloads } from '../test/support/tls-workloads.ts'

const ROUNDS = 7
/** Long enough for the clock, short enough for a laptop. */
const ROUND_MS = 300

const BULK_BYTES = 32 * 1024 * 1024
/** What one write carries: four full records. */
const CHUNK = new Uint8Array(65_536).fill(0x61)

/** By node:tls's names. */
const NODE_GROUPS: Readonly<Record<'x25519' | 'X25519MLKEM768', string>> = {
  x25519: 'X25519',
  X25519MLKEM768: 'X25519MLKEM768',
}

const workloads = await mintWorkloads('ec-p256', Date.now())

/** The measurements, one line each. */
async function main(): Promise<void> {
  for (const group of ['x25519', 'X25519MLKEM768'] as const) {
    const contexts = nodeContexts(workloads, group)
    const [ours, theirs] = await interleaved(
      () => ratePerSecond(async () => new EnginePair(group)[Symbol.dispose]()),
      () => ratePerSecond(() => nodeHandshake(contexts)),
    )
    show(`full handshakes, P-256, mutual, ${group}`, ours, theirs, '/s')
  }

  const contexts = nodeContexts(workloads, 'x25519')
  const [ours, theirs] = await interleaved(
    async () => engineBulk(),
    () => nodeBulk(contexts),
  )
  show('bulk, one direction, sealed and opened, AES-128-GCM', ours, theirs, ' MB/s')
}

/** As bare as an engine can be run: no trace, no key log, bytes handed over as they come. */
class EnginePair {
  readonly client: TlsConnection
  readonly #server: TlsConnection
  readonly #toServer: Uint8Array[] = []
  readonly #toClient: Uint8Array[] = []
  established = 0
  receivedBytes = 0

  constructor(group: GroupName) {
    const common = { crypto: nativeCrypto(), nowMs: Date.now, groups: [group] }
    const verifier = verifierFor(workloads)
    this.client = TlsConnection.client(
      { ...common, verifier, credential: workloads.client },
      this.#handlers(this.#toServer),
    )
    this.#server = TlsConnection.server(
      { ...common, clientVerifier: verifier, credential: () => workloads.server },
      this.#handlers(this.#toClient),
    )
    this.#server.start()
    this.client.start()
    this.pump()
    if (this.established !== 2) throw new Error('The engine did not come to an agreement')
  }

  /** Carries bytes until there are none. */
  pump(): void {
    while (this.#toServer.length + this.#toClient.length > 0) {
      for (const bytes of this.#toServer.splice(0)) this.#server.receive(bytes)
      for (const bytes of this.#toClient.splice(0)) this.client.receive(bytes)
    }
  }

  [Symbol.dispose](): void {
    this.client[Symbol.dispose]()
    this.#server[Symbol.dispose]()
  }

  #handlers(outgoing: Uint8Array[]): ConnectionHandlers {
    return {
      output: (bytes) => outgoing.push(bytes),
      established: () => this.established++,
      data: ({ length }) => (this.receivedBytes += length),
      peerClosed: () => undefined,
      failed: (error) => {
        throw error
      },
    }
  }
}

/** In megabytes per second. */
function engineBulk(): number {
  using pair = new EnginePair('x25519')
  const begin = performance.now()
  for (let sent = 0; sent < BULK_BYTES; sent += CHUNK.length) {
    pair.client.send(CHUNK)
    pair.pump()
  }
  if (pair.receivedBytes !== BULK_BYTES) throw new Error('The engine lost bytes')
  return megabytesPerSecond(begin)
}

interface NodeContexts {
  readonly client: SecureContext
  readonly server: SecureContext
}

function nodeContexts({ client, server, domain }: Workloads, group: keyof typeof NODE_GROUPS): NodeContexts {
  const ca = encodePem('CERTIFICATE', domain.root.certificate.der)
  const context = (minted: typeof client): SecureContext =>
    createSecureContext({
      ...pemOf(minted),
      ca,
      minVersion: 'TLSv1.3',
      ciphers: 'TLS_AES_128_GCM_SHA256',
      ecdhCurve: NODE_GROUPS[group],
    })
  return { client: context(client), server: context(server) }
}

/** Two sockets of node:tls that have verified each other. */
async function nodePair(contexts: NodeContexts): Promise<{ client: TLSSocket; server: TLSSocket }> {
  const [near, far] = duplexPair()
  const server = new TLSSocket(far, {
    isServer: true,
    secureContext: contexts.server,
    requestCert: true,
    rejectUnauthorized: true,
  })
  // SPIFFE IDs are not host names: the chain is verified, and the name is not.
  const client = connect({
    socket: near,
    secureContext: contexts.client,
    checkServerIdentity: () => undefined,
  })
  await Promise.all([once(client, 'secureConnect'), once(server, 'secure')])
  // A bare server socket verifies the chain too, but leaves judging to its owner.
  if (!client.authorized || server.getPeerX509Certificate() === undefined)
    throw new Error('node:tls did not see the chains')
  return { client, server }
}

async function nodeHandshake(contexts: NodeContexts): Promise<void> {
  const { client, server } = await nodePair(contexts)
  client.destroy()
  server.destroy()
}

/** In megabytes per second. */
async function nodeBulk(contexts: NodeContexts): Promise<number> {
  const { client, server } = await nodePair(contexts)
  const all = Promise.withResolvers<void>()
  let receivedBytes = 0
  server.on('data', ({ length }: Uint8Array) => {
    receivedBytes += length
    if (receivedBytes === BULK_BYTES) all.resolve()
  })
  const begin = performance.now()
  for (let sent = 0; sent < BULK_BYTES; sent += CHUNK.length)
    if (!client.write(CHUNK)) await once(client, 'drain')
  await all.promise
  const rate = megabytesPerSecond(begin)
  client.destroy()
  server.destroy()
  return rate
}

function megabytesPerSecond(begin: number): number {
  return BULK_BYTES / 1e6 / ((performance.now() - begin) / 1000)
}

async function ratePerSecond(act: () => Promise<void>): Promise<number> {
  const begin = performance.now()
  let count = 0
  while (performance.now() - begin < ROUND_MS) {
    await act()
    count++
  }
  return (1000 * count) / (performance.now() - begin)
}

/** The medians of both, measured in turns after one round that does not count. */
async function interleaved(
  one: () => Promise<number>,
  other: () => Promise<number>,
): Promise<readonly [number, number]> {
  const rates: readonly [number[], number[]] = [[], []]
  for (let round = 0; round <= ROUNDS; round++) {
    const [first, second] = [await one(), await other()]
    if (round === 0) continue
    rates[0].push(first)
    rates[1].push(second)
  }
  return [median(rates[0]), median(rates[1])]
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!
}

function show(what: string, ours: number, theirs: number, unit: string): void {
  const figures = `engine ${ours.toFixed(0)}${unit}, node:tls ${theirs.toFixed(0)}${unit}`
  process.stdout.write(`${what}: ${(ours / theirs).toFixed(2)}× node:tls (${figures})\n`)
}

await main()
