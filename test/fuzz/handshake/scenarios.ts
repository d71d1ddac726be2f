import { nativeCrypto } from '../../../src/crypto/native-provider.ts'
import { encodePkcs8 } from '../../../src/crypto/pkcs8.ts'
import type { PrivateKey } from '../../../src/crypto/provider.ts'
import { TrustBundles, trustBundle } from '../../../src/identity/trust-bundle.ts'
import { makeTicketKey, sealedTickets } from '../../../src/tls/session/sealed-tickets.ts'
import type {
  ClientTicket,
  ClientTicketStore,
  ServerTicketState,
  ServerTicketStore,
} from '../../../src/tls/session/resumption.ts'
import { mintIntermediate, mintRoot, mintSvid, TRUST_DOMAIN } from '../../support/certificates.ts'
import { TlsPair, type TlsPairOptions } from '../../support/tls-pair.ts'
import { CLIENT_ID, NOW_MS, SERVER_ID, type Workloads } from '../../support/tls-workloads.ts'
import { fuzzCrypto } from './fuzz-crypto.ts'

/** A kind of handshake to disturb. */
export interface Scenario {
  readonly name: string
  /** The options of one run, tickets that can be used once included. */
  readonly options: (hashes: boolean) => TlsPairOptions
  /** What the client sends before it hears anything. */
  readonly early?: Uint8Array
  /** Whether the server may be established without knowing its client. */
  readonly allowsAnonymous: boolean
}

/** The workloads of all runs: their keys, and the lengths of their certificates, are always the same. */
export async function fuzzWorkloads(): Promise<Workloads> {
  const nowMs = NOW_MS
  const uris = [`spiffe://${TRUST_DOMAIN}`]
  const root = await mintRoot({ nowMs, uris, key: fixedKey(1) })
  const intermediate = await mintIntermediate(root, { nowMs, uris, key: fixedKey(2) })
  const bundle = trustBundle(TRUST_DOMAIN, [root.certificate])
  return {
    domain: { root, intermediate, bundle, bundles: new TrustBundles([bundle]) },
    client: await mintSvid(intermediate, CLIENT_ID, { nowMs, key: fixedKey(3) }),
    server: await mintSvid(intermediate, SERVER_ID, { nowMs, key: fixedKey(4) }),
  }
}

/** Ed25519, whose signatures are all of one length and leave nothing to chance. */
function fixedKey(fill: number): PrivateKey {
  return nativeCrypto().importPrivateKey(encodePkcs8('ed25519', new Uint8Array(32).fill(fill)))
}

const COOKIE_KEY = new Uint8Array(32).fill(7)
const EARLY = new Uint8Array(200).fill(0x65)
const EARLY_LIMIT = { maxBytes: 4096 }

/** Every kind of handshake that the engine makes. */
export function scenarios(workloads: Workloads): readonly Scenario[] {
  const retry = { groups: ['secp256r1'] } as const
  const plain = (name: string, options: TlsPairOptions = {}, allowsAnonymous = false): Scenario => ({
    name,
    options: () => options,
    allowsAnonymous,
  })
  const resuming = (
    name: string,
    tickets: Tickets,
    options: TlsPairOptions = {},
    early?: Uint8Array,
  ): Scenario => ({
    name,
    options: (hashes) => tickets.resume(hashes, options),
    allowsAnonymous: false,
    ...(early === undefined ? {} : { early }),
  })
  const single = new Tickets(workloads, 'single use')
  const sealed = new Tickets(workloads, 'sealed')
  const ask = { requestOcspResponse: true, requestCertificateTimestamps: true }
  return [
    plain('mutual'),
    plain('server only', { client: ask, server: { clientVerifier: undefined as never } }, true),
    plain(
      'anonymous client',
      { client: { credential: undefined as never }, server: { allowAnonymousClient: true } },
      true,
    ),
    plain('retry', { server: retry }),
    plain('retry with cookie', { server: { ...retry, cookieKey: COOKIE_KEY } }),
    plain('everything negotiated', {
      client: { serverName: 'orders.example', alpn: ['h2', 'http/1.1'], maxRecordBytes: 1000, ...ask },
      server: { alpn: ['h2'], maxRecordBytes: 512, suites: ['TLS_AES_256_GCM_SHA384'] },
    }),
    resuming('resumption', single),
    resuming('resumption, sealed ticket', sealed),
    resuming('resumption after a retry', single, { server: retry }),
    resuming(
      'early data',
      single,
      { client: { earlyData: true }, server: { earlyData: EARLY_LIMIT } },
      EARLY,
    ),
    resuming('early data declined', single, { client: { earlyData: true } }, EARLY),
    resuming(
      'early data and a retry',
      single,
      { client: { earlyData: true }, server: { ...retry, earlyData: EARLY_LIMIT } },
      EARLY,
    ),
  ]
}

/** The tickets of an earlier handshake, good for one resumption in each run. */
class Tickets {
  readonly #workloads: Workloads
  readonly #kind: 'single use' | 'sealed'
  readonly #byHashes = new Map<
    boolean,
    { readonly ticket: ClientTicket; readonly store: () => ServerTicketStore }
  >()

  constructor(workloads: Workloads, kind: 'single use' | 'sealed') {
    this.#workloads = workloads
    this.#kind = kind
  }

  /** The options that resume once, and hand out new tickets. */
  resume(hashes: boolean, { client, server }: TlsPairOptions): TlsPairOptions {
    const { ticket, store } = this.#earlier(hashes)
    return {
      client: { ...client, tickets: holding(ticket) },
      server: { ...server, tickets: { store: store() } },
    }
  }

  #earlier(hashes: boolean) {
    const known = this.#byHashes.get(hashes)
    if (known !== undefined) return known
    const kept: ClientTicket[] = []
    const issued = new Map<string, ServerTicketState>()
    const keys = { current: makeTicketKey(nativeCrypto()) }
    const store = (): ServerTicketStore =>
      this.#kind === 'sealed' ? sealedTickets(nativeCrypto(), () => keys) : remembering(issued)
    using pair = new TlsPair(this.#workloads, {
      crypto: fuzzCrypto(nativeCrypto(), { hashes }),
      client: { tickets: { put: (ticket) => kept.push(ticket), take: () => undefined } },
      server: { tickets: { store: store(), count: 1 }, earlyData: EARLY_LIMIT },
    }).run()
    if (pair.client.session === undefined || kept.length !== 1)
      throw new Error('The earlier handshake left no ticket')
    const earlier = { ticket: kept[0]!, store }
    this.#byHashes.set(hashes, earlier)
    return earlier
  }
}

/** Gives a copy of one ticket, once: its key is wiped when it has been used. */
function holding(ticket: ClientTicket): ClientTicketStore {
  let taken = false
  return {
    put: () => undefined,
    take() {
      if (taken) return undefined
      taken = true
      return { ...ticket, preSharedKey: ticket.preSharedKey.slice() }
    },
  }
}

/** Redeems copies of what the first handshake issued; what later ones issue is forgotten. */
function remembering(issued: Map<string, ServerTicketState>): ServerTicketStore {
  const used = new Set<string>()
  return {
    isSingleUse: true,
    issue(state) {
      const ticket = new Uint8Array(32).fill(issued.size)
      if (issued.size === 0)
        issued.set(ticket.toHex(), { ...state, preSharedKey: state.preSharedKey.slice() })
      return ticket
    },
    redeem(ticket) {
      const name = ticket.toHex()
      const state = issued.get(name)
      if (state === undefined || used.has(name)) return undefined
      used.add(name)
      return { ...state, preSharedKey: state.preSharedKey.slice() }
    },
  }
}
