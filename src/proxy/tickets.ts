import { concat, utf8 } from '../bytes/bytes.ts'
import { hkdfExpand } from '../crypto/hkdf.ts'
import type { CryptoProvider } from '../crypto/provider.ts'
import type { CertificateMemory } from '../pki/certificate-memory.ts'
import { clientTickets } from '../tls/session/client-tickets.ts'
import type { ClientTicketStore, ServerTicketStore } from '../tls/session/resumption.ts'
import { sealedTickets, type TicketKey } from '../tls/session/sealed-tickets.ts'
import type { TicketPolicy } from '../tls/session/ticketing.ts'
import type { MeshView } from './mesh-view.ts'

/** For each peer that we connect to; a burst of connections uses as many at once. Each has some 4 KB. */
const TICKETS_PER_PEER = 32

/** Peers whose tickets are kept: more than a workload speaks to at a time, since whoever names networks may speak to any number. */
const MAX_PEERS = 128

/** The secret that the threads of one process seal tickets under, in bytes. */
export const TICKET_SECRET_BYTES = 32

/** What proves us, and whom we believe: tickets are good under one such pair, and die with it. */
type Standing = Pick<MeshView, 'svid' | 'bundles' | 'identityVersion'>

/**
 * What connections between proxies are resumed from. Whatever replaces our own certificate, or any trust bundle, ends all
 * tickets on our side, so that the next handshake is a full one in which both see each other's newest certificate. Beyond
 * that a ticket ends with the certificates of the path that it stands
 * for, and the peer's identity and anchor are checked again each time that it is used. Policy is not resumed: it judges
 * each connection.
 *
 * A client's tickets belong to its thread. A server's are sealed under a key that its threads derive, each for itself, from
 * a secret of the process: whichever thread a connection comes to can take it up. They carry no early data.
 */
export class ProxyTickets {
  readonly #crypto: CryptoProvider
  readonly #secret: Uint8Array
  readonly #certificates: CertificateMemory
  #standing: Standing | undefined
  #clients = new Map<string, ClientTicketStore>()
  #server: ServerTicketStore | undefined

  /** @param secret of {@link TICKET_SECRET_BYTES} bytes, the same in all threads of the process and nowhere else */
  constructor(crypto: CryptoProvider, secret: Uint8Array, certificates: CertificateMemory) {
    this.#crypto = crypto
    this.#secret = secret
    this.#certificates = certificates
  }

  /** Those of one peer. @param key tells it from all others */
  ofPeer(view: MeshView, key: string): ClientTicketStore {
    // A connection that took its time to begin, while our certificate was replaced: what it brings is for nobody.
    if (view.identityVersion < (this.#standing?.identityVersion ?? 0)) return clientTickets()
    this.#adopt(view)
    const store = this.#clients.get(key) ?? clientTickets(TICKETS_PER_PEER)
    // The newest comes last, so that the first is the one that was not needed for the longest time.
    this.#clients.delete(key)
    this.#clients.set(key, store)
    if (this.#clients.size > MAX_PEERS) {
      const [eldest, unused] = this.#clients.entries().next().value!
      forget(unused)
      this.#clients.delete(eldest)
    }
    return store
  }

  /** What clients are handed. */
  forClients(view: MeshView): TicketPolicy {
    this.#adopt(view)
    if (this.#server === undefined) {
      const current = ticketKey(this.#crypto, this.#secret, view)
      this.#server = sealedTickets(this.#crypto, () => ({ current }), this.#certificates)
    }
    return { store: this.#server }
  }

  #adopt(standing: Standing): void {
    const before = this.#standing
    this.#standing = standing
    if (before?.svid === standing.svid && before.bundles === standing.bundles) return
    for (const store of this.#clients.values()) forget(store)
    this.#clients = new Map()
    this.#server = undefined
  }
}

/** The key of one standing: another certificate, or another anchor, leads to another key. */
function ticketKey(crypto: CryptoProvider, secret: Uint8Array, { svid, bundles }: Standing): TicketKey {
  const anchors = Array.from(bundles, ({ trustDomain, anchors: own }) => [
    crypto.digest('sha256', utf8(trustDomain)),
    ...own.map(({ der }) => crypto.digest('sha256', der)),
  ])
  const chain = svid.chain.map(({ der }) => crypto.digest('sha256', der))
  const standing = crypto.digest('sha256', concat(...chain, ...anchors.flat()))
  const standingSecret = crypto.hmac('sha256', secret, standing)
  const key = {
    name: hkdfExpand(crypto, 'sha256', standingSecret, utf8('handfast ticket name'), 16),
    secret: hkdfExpand(crypto, 'sha256', standingSecret, utf8('handfast ticket key'), 32),
  }
  standingSecret.fill(0)
  return key
}

function forget(store: ClientTicketStore): void {
  for (let ticket = store.take(-Infinity); ticket !== undefined; ticket = store.take(-Infinity))
    ticket.preSharedKey.fill(0)
}
