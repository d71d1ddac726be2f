import { utf8 } from '../../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../../src/crypto/native-provider.ts'
import { isTrustDomain, isWorkloadId } from '../../../src/config/spiffe.ts'
import { SpiffeId } from '../../../src/identity/spiffe-id.ts'
import { decodeBundleDocument, encodeBundleDocument } from '../../../src/identity/bundle-document.ts'
import { BundleError } from '../../../src/identity/errors.ts'
import { readTrustBundlePem, sameBundle, trustBundle } from '../../../src/identity/trust-bundle.ts'
import { encodePem } from '../../../src/pki/pem.ts'
import { CertificateError } from '../../../src/pki/errors.ts'
import { makeTicketKey, sealedTickets } from '../../../src/tls/session/sealed-tickets.ts'
import type { ServerTicketState } from '../../../src/tls/session/resumption.ts'
import { identityAeads } from '../../support/identity-aead.ts'
import { CLIENT_ID, NOW_MS, type Workloads } from '../../support/tls-workloads.ts'
import { magnitude, outcomeOf, Violation, type FuzzTarget } from '../target.ts'

/** Names, what vouches for them, and the tickets that carry them. */
export function identityTargets(workloads: Workloads): readonly FuzzTarget[] {
  return [
    SPIFFE_ID,
    bundleTarget(workloads),
    documentTarget(workloads),
    ticketTarget(workloads),
    ticketStateTarget(workloads),
  ]
}

const SPIFFE_ID: FuzzTarget = {
  name: 'spiffe-id',
  seeds: [
    CLIENT_ID,
    'spiffe://example.org',
    'spiffe://example.org/a/b/c',
    'spiffe://a-b_c.d/.x/..y/_-.',
    'spiffe://example.org//',
    'SPIFFE://example.org/../x',
  ].map(utf8),
  run(input) {
    const text = Buffer.from(input).toString('utf8')
    return outcomeOf(() => {
      const id = SpiffeId.parse(text)
      if (id.toString() !== text) throw new Violation(`It was read as ${id.toString()}`)
      // What configuration takes for a name must be one.
      const known = isWorkloadId(text) || (id.path === '' && isTrustDomain(id.trustDomain))
      return `parsed: ${known} ${magnitude(id.path.split('/').length)}`
    }, CertificateError)
  },
}

function bundleTarget({ domain }: Workloads): FuzzTarget {
  const pems = [domain.root, domain.intermediate].map(({ certificate }) =>
    encodePem('CERTIFICATE', certificate.der),
  )
  return {
    name: 'trust-bundle',
    seeds: [...pems, pems.join('')].map(utf8),
    run: (input) =>
      outcomeOf(() => {
        const { anchors } = readTrustBundlePem('shop.example', Buffer.from(input).toString('latin1'))
        return `read: ${anchors.length}`
      }, CertificateError),
  }
}

/** What another trust domain publishes: written again and read again it is the same bundle. */
function documentTarget({ domain, client }: Workloads): FuzzTarget {
  const crypto = nativeCrypto()
  const signer = crypto.generateKey('ec-p256').publicKey
  const { anchors } = domain.bundle
  const seeds = [
    trustBundle('shop.example', anchors),
    trustBundle(
      'shop.example',
      [...anchors, domain.intermediate.certificate],
      [{ keyId: 'a', spki: signer.spki }],
    ),
    undefined,
  ].map((bundle) => encodeBundleDocument({ bundle, sequence: 3, refreshHintSeconds: 300 }))
  const misfit = client.certificate.der.toBase64()
  const options = { trustDomain: 'shop.example', crypto }
  return {
    name: 'bundle-document',
    seeds: [...seeds, `{"keys":[{"use":"x509-svid","kty":"EC","x5c":["${misfit}"]}]}`].map(utf8),
    run: (input) =>
      outcomeOf(() => {
        const document = decodeBundleDocument(new TextDecoder().decode(input), options)
        const again = decodeBundleDocument(encodeBundleDocument(document), options)
        if (!sameBundle(document.bundle, again.bundle) || again.sequence !== document.sequence)
          throw new Violation('A bundle is another one after it was written and read')
        const { anchors: read = [], jwtAuthorities = [] } = document.bundle ?? {}
        return `read: ${read.length} ${jwtAuthorities.length}`
      }, BundleError),
  }
}

/** What a client sends back: no other ticket than the one that was sealed may be redeemed. */
function ticketTarget(workloads: Workloads): FuzzTarget {
  const key = makeTicketKey(nativeCrypto())
  const store = sealedTickets(nativeCrypto(), () => ({ current: key }))
  const tickets = states(workloads).map((state) => store.issue(state))
  const genuine = new Set(tickets.map((ticket) => ticket.toHex()))
  return {
    name: 'sealed-ticket',
    seeds: tickets,
    run(input) {
      const redeemed = store.redeem(input.slice(), NOW_MS) !== undefined
      if (redeemed !== genuine.has(input.toHex()))
        throw new Violation(`An altered ticket: redeemed is ${redeemed}`)
      return redeemed ? 'redeemed' : 'not redeemed'
    },
  }
}

/** What is in a ticket that another version of us may have sealed: it is redeemed or not, and nothing fails. */
function ticketStateTarget(workloads: Workloads): FuzzTarget {
  const crypto = identityAeads(nativeCrypto())
  const key = { name: new Uint8Array(16), secret: new Uint8Array(32) }
  const store = sealedTickets(crypto, () => ({ current: key }))
  const tickets = states(workloads).map((state) => store.issue(state))
  const prefix = tickets[0]!.subarray(0, 28)
  const tag = new Uint8Array(16)
  const contents = tickets.map((ticket) => ticket.slice(prefix.length, -tag.length))
  return {
    name: 'ticket-state',
    seeds: contents,
    run(input) {
      const ticket = new Uint8Array([...prefix, ...input, ...tag])
      const state = store.redeem(ticket, NOW_MS)
      return state === undefined
        ? 'not redeemed'
        : `redeemed: ${state.cipherSuite} ${state.peer?.path.length} ${magnitude(state.preSharedKey.length)}`
    },
  }
}

function states({ client }: Workloads): ServerTicketState[] {
  const common = {
    cipherSuite: 'TLS_AES_128_GCM_SHA256',
    ageAdd: 5,
    maxEarlyDataBytes: 0,
    issuedAtMs: NOW_MS,
    expiresAtMs: NOW_MS + 3_600_000,
  } as const
  const peer = { name: CLIENT_ID, expiresAtMs: NOW_MS + 3_600_000, path: client.chain }
  // Whoever seals wipes what it was given.
  const preSharedKey = (): Uint8Array => new Uint8Array(32).fill(3)
  return [
    { ...common, preSharedKey: preSharedKey() },
    { ...common, preSharedKey: preSharedKey(), serverName: 'orders.example', alpn: 'h2' },
    { ...common, preSharedKey: preSharedKey(), peer, peerSignatureScheme: 'ed25519' },
  ]
}
