import assert from 'node:assert/strict'
import test from 'node:test'
import { execFileSync } from 'node:child_process'
import { concat, utf8 } from '../../src/bytes/bytes.ts'
import { CaError } from '../../src/ca/errors.ts'
import type { JournalEntry } from '../../src/ca/journal.ts'
import { Issuer } from '../../src/ca/issuer.ts'
import { JoinTokenAttestor } from '../../src/ca/join-token-attestor.ts'
import { PeerSvidAttestor } from '../../src/ca/peer-svid-attestor.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { SpiffeId } from '../../src/identity/spiffe-id.ts'
import { svidVerifier } from '../../src/identity/svid-verifier.ts'
import { TrustBundles } from '../../src/identity/trust-bundle.ts'
import { createCsr } from '../../src/pki/csr.ts'
import { decodePem } from '../../src/pki/pem.ts'
import { memoryCa, WEB } from '../support/memory-ca.ts'
import { revocationsOf } from '../support/revocations.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import type { TestContext } from 'node:test'

const NOW_MS = Date.UTC(2026, 5, 1, 12)
const HOUR_MS = 3600 * 1000
const crypto = nativeCrypto()

/** A CSR as OpenSSL makes it, with these arguments to `openssl req`. */
async function opensslCsr(t: TestContext, ...args: readonly string[]): Promise<Uint8Array> {
  const cwd = await temporaryDirectory(t)
  const all = ['req', '-new', '-nodes', '-keyout', 'key.pem', '-subj', '/CN=whoever', ...args]
  const pem = execFileSync('openssl', all, { cwd, stdio: ['ignore', 'pipe', 'ignore'] }).toString()
  return decodePem(pem, 'CERTIFICATE REQUEST')[0]!
}

const EC_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']

function openssl(): { skip?: string } {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return {}
  } catch {
    return { skip: 'openssl is not installed' }
  }
}

test('Issuer.issue gives the identity of the token, for the key of the request, and records it first', async () => {
  const { issuer, authority, journal, token } = await memoryCa(NOW_MS)
  const key = crypto.generateKey('ec-p256')
  const evidence = { kind: 'join-token', token: await token() } as const
  const { chain, expiresAtMs, caller } = await issuer.issue(createCsr(key), evidence, { nowMs: NOW_MS })
  const [leaf, intermediate] = chain
  assert.deepEqual(leaf.publicKey.spki, key.publicKey.spki)
  assert.deepEqual(leaf.subjectAltNames.uris, [WEB.toString()])
  assert.equal(leaf.subject.text, '')
  assert.equal(caller.id.toString(), WEB.toString())
  assert.equal(expiresAtMs, NOW_MS + HOUR_MS)
  assert.equal(leaf.notBeforeMs, NOW_MS - 5 * 60 * 1000, 'back-dated, for peers whose clock runs behind')
  assert.equal(intermediate.basicConstraints?.pathLength, 0)

  const bundles = TrustBundles.of(authority.bundle)
  const verifier = svidVerifier({ bundles: () => bundles, crypto })
  const skewedMs = NOW_MS - 4 * 60 * 1000
  assert.equal(verifier.verify(chain, { peerRole: 'client', nowMs: skewedMs }).name, WEB.toString())

  assert.equal(journal.entries.length, 1)
  const [entry] = journal.entries
  assert.ok(entry?.kind === 'issued')
  assert.equal(entry.serialNumber, leaf.serialNumber)
  assert.equal(entry.spiffeId, WEB.toString())
  assert.equal(entry.certificateSha256, crypto.digest('sha256', leaf.der).toHex())
  assert.match(entry.proof, /^join-token:[0-9a-f]{16}$/)
})

test('Issuer.issue gives every certificate a serial number of its own', async () => {
  const { issuer, token } = await memoryCa(NOW_MS)
  const evidence = { kind: 'join-token', token: await token() } as const
  const csr = createCsr(crypto.generateKey('ec-p256'))
  const issued = await Promise.all(
    Array.from({ length: 20 }, () => issuer.issue(csr, evidence, { nowMs: NOW_MS })),
  )
  const serials = new Set(issued.map(({ chain: [leaf] }) => leaf.serialNumber))
  assert.equal(serials.size, 20)
  for (const serial of serials) assert.ok(serial.length >= 16, `${serial} has at least 64 bits`)
})

test('Issuer.issue renews for a caller whose connection proved it, until that certificate ends', async () => {
  const { issuer, journal } = await memoryCa(NOW_MS)
  const csr = createCsr(crypto.generateKey('ec-p384'))
  const evidence = { kind: 'peer-svid', id: WEB, serialNumber: '7f', expiresAtMs: NOW_MS + 1 } as const
  const { chain } = await issuer.issue(csr, evidence, { nowMs: NOW_MS })
  assert.deepEqual(chain[0].subjectAltNames.uris, [WEB.toString()])
  await assert.rejects(issuer.issue(csr, evidence, { nowMs: NOW_MS + 1 }), { code: 'CA_PEER_EXPIRED' })
  assert.deepEqual(
    journal.entries.map((entry) => (entry.kind === 'issued' ? [entry.proof, entry.renews] : codeOf(entry))),
    [['peer-svid', '7f'], 'CA_PEER_EXPIRED'],
  )
})

test('Issuer.issue refuses a caller without evidence, and records it', async () => {
  const { issuer, journal } = await memoryCa(NOW_MS)
  const csr = createCsr(crypto.generateKey('ec-p256'))
  await assert.rejects(issuer.issue(csr, undefined, { nowMs: NOW_MS }), { code: 'CA_NO_EVIDENCE' })
  const [entry] = journal.entries
  assert.ok(entry?.kind === 'refused')
  assert.equal(entry.code, 'CA_NO_EVIDENCE')
  assert.equal(entry.spiffeId, undefined)
})

test('Issuer.issue refuses tokens that are unknown, misspelt or expired, and never writes one down', async () => {
  const { issuer, journal, token } = await memoryCa(NOW_MS)
  const csr = createCsr(crypto.generateKey('ec-p256'))
  const good = await token(WEB, HOUR_MS)
  const tampered = good.slice(0, -2) + (good.endsWith('AA') ? 'BB' : 'AA')
  const refused = async (text: string, nowMs: number, code: string): Promise<void> => {
    await assert.rejects(issuer.issue(csr, { kind: 'join-token', token: text }, { nowMs }), { code })
  }
  await refused(tampered, NOW_MS, 'CA_TOKEN_UNKNOWN')
  await refused('hfj_short', NOW_MS, 'CA_TOKEN_UNKNOWN')
  await refused(good.toUpperCase(), NOW_MS, 'CA_TOKEN_UNKNOWN')
  await refused(`../../${good}`, NOW_MS, 'CA_TOKEN_UNKNOWN')
  await refused(good, NOW_MS + HOUR_MS, 'CA_TOKEN_EXPIRED')
  await issuer.issue(csr, { kind: 'join-token', token: good }, { nowMs: NOW_MS + HOUR_MS - 1 })
  const written = JSON.stringify(journal.entries)
  for (const text of [good, tampered]) assert.ok(!written.includes(text.slice(4)))
})

test('Issuer.issue keeps only the hash of a token', async () => {
  const { tokens, token } = await memoryCa(NOW_MS)
  const text = await token()
  assert.match(text, /^hfj_[A-Za-z0-9_-]{43}$/)
  assert.ok(!JSON.stringify([...tokens.registrations]).includes(text.slice(4)))
  assert.deepEqual([...tokens.registrations.keys()], [crypto.digest('sha256', utf8(text)).toHex()])
})

test('Issuer.issue refuses an identity of another trust domain', async () => {
  const { issuer, token } = await memoryCa(NOW_MS)
  const foreign = SpiffeId.parse('spiffe://other.example/ns/shop/sa/web')
  const evidence = { kind: 'join-token', token: await token(foreign) } as const
  const csr = createCsr(crypto.generateKey('ec-p256'))
  await assert.rejects(issuer.issue(csr, evidence, { nowMs: NOW_MS }), { code: 'CA_WRONG_TRUST_DOMAIN' })
})

test('Issuer.issue refuses every request with one byte changed, truncated or too long', async () => {
  const { issuer, token } = await memoryCa(NOW_MS)
  const evidence = { kind: 'join-token', token: await token() } as const
  const csr = createCsr(crypto.generateKey('ec-p256'))
  const refused = (bytes: Uint8Array, what: string): Promise<void> =>
    assert.rejects(
      issuer.issue(bytes, evidence, { nowMs: NOW_MS }),
      (error) => error instanceof CaError && /^CA_CSR_(?:INVALID|KEY|SIGNATURE)$/.test(error.code),
      what,
    )
  for (let i = 0; i < csr.length; i++) {
    const changed = csr.slice()
    changed[i]! ^= 0x01
    await refused(changed, `byte ${i}`)
  }
  for (let length = 0; length < csr.length; length++)
    await refused(csr.subarray(0, length), `${length} bytes`)
  await refused(concat(csr, Uint8Array.of(0)), 'a byte too many')
  await refused(concat(csr, new Uint8Array(1024 * 1024)), 'a megabyte')
})

test(
  'Issuer.issue refuses a request for an RSA key, weak or not, and for a curve that is not certified',
  openssl(),
  async (t) => {
    const { issuer, journal, token } = await memoryCa(NOW_MS)
    const evidence = { kind: 'join-token', token: await token() } as const
    for (const key of [
      ['-newkey', 'rsa:1024'],
      ['-newkey', 'rsa:2048'],
      ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-521'],
    ]) {
      const csr = await opensslCsr(t, ...key)
      await assert.rejects(issuer.issue(csr, evidence, { nowMs: NOW_MS }), {
        code: 'CA_CSR_KEY',
        message: /P-256/,
      })
    }
    assert.deepEqual(
      journal.entries.map((entry) => entry.kind === 'refused' && entry.code),
      Array.from({ length: 3 }, () => 'CA_CSR_KEY'),
    )
  },
)

test('Issuer.issue refuses a request that another key has signed', async () => {
  const { issuer, journal, token } = await memoryCa(NOW_MS)
  const evidence = { kind: 'join-token', token: await token() } as const
  const csr = createCsr(crypto.generateKey('ed25519'))
  const other = createCsr(crypto.generateKey('ed25519'))
  const forged = concat(csr.subarray(0, -64), other.subarray(-64))
  await assert.rejects(issuer.issue(forged, evidence, { nowMs: NOW_MS }), { code: 'CA_CSR_SIGNATURE' })
  const [entry] = journal.entries
  assert.ok(entry?.kind === 'refused')
  assert.deepEqual([entry.code, entry.spiffeId], ['CA_CSR_SIGNATURE', WEB.toString()])
})

test('Issuer.issue certifies keys of P-256, P-384 and Ed25519', async () => {
  const { issuer, token } = await memoryCa(NOW_MS)
  const evidence = { kind: 'join-token', token: await token() } as const
  for (const kind of ['ec-p256', 'ec-p384', 'ed25519'] as const) {
    const { chain } = await issuer.issue(createCsr(crypto.generateKey(kind)), evidence, { nowMs: NOW_MS })
    assert.equal(chain[0].publicKey.kind, kind)
  }
})

test('Issuer.issue takes a join token as often as it was made for, however many ask at once', async () => {
  const { issuer, journal, token } = await memoryCa(NOW_MS)
  const csr = createCsr(crypto.generateKey('ec-p256'))
  for (const uses of [1, 3]) {
    const evidence = { kind: 'join-token', token: await token(WEB, HOUR_MS, uses) } as const
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, () => issuer.issue(csr, evidence, { nowMs: NOW_MS })),
    )
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, uses)
    await assert.rejects(issuer.issue(csr, evidence, { nowMs: NOW_MS }), { code: 'CA_TOKEN_USED' })
    const last = journal.entries.at(-1)
    assert.ok(last?.kind === 'refused' && last.code === 'CA_TOKEN_USED')
  }
})

test('Issuer.issue gives the lifetime that was asked for, within bounds', async () => {
  const { issuer, token } = await memoryCa(NOW_MS, { maxSvidTtlMs: 4 * HOUR_MS })
  const evidence = { kind: 'join-token', token: await token() } as const
  const csr = createCsr(crypto.generateKey('ec-p256'))
  for (const [ttlMs, given] of [
    [undefined, HOUR_MS],
    [2 * HOUR_MS, 2 * HOUR_MS],
    [48 * HOUR_MS, 4 * HOUR_MS],
    [1, 10_000],
    [-5, 10_000],
  ] as const) {
    const { expiresAtMs } = await issuer.issue(csr, evidence, { nowMs: NOW_MS, ttlMs })
    assert.equal(expiresAtMs, NOW_MS + given)
  }
})

test('Issuer.issue holds an identity, and an address, to their rates, and records who went beyond', async () => {
  const { authority, journal, tokens, token } = await memoryCa(NOW_MS)
  const issuer = new Issuer({
    authority,
    journal,
    attestors: { 'join-token': new JoinTokenAttestor({ crypto, store: tokens }) },
    limits: {
      certificatesPerIdentity: { atOnce: 2, perMinute: 60 },
      requestsPerAddress: { atOnce: 4, perMinute: 60 },
    },
  })
  const csr = createCsr(crypto.generateKey('ec-p256'))
  const web = { kind: 'join-token', token: await token() } as const
  const other = await token(SpiffeId.parse('spiffe://example.org/other'))
  const limited = { code: 'CA_RATE_LIMITED' }
  const at = (ms: number, address: string) => ({ nowMs: NOW_MS + ms, address })
  await issuer.issue(csr, web, at(0, 'a'))
  await issuer.issue(csr, web, at(0, 'b'))
  await assert.rejects(issuer.issue(csr, web, at(0, 'c')), limited)
  await issuer.issue(csr, { kind: 'join-token', token: other }, at(0, 'c'))
  await issuer.issue(csr, web, at(1_000, 'c'))
  await assert.rejects(issuer.issue(csr, web, at(1_000, 'c')), limited)

  for (let i = 0; i < 4; i++)
    await assert.rejects(issuer.issue(csr, undefined, at(1_000, 'd')), { code: 'CA_NO_EVIDENCE' })
  await assert.rejects(issuer.issue(csr, undefined, at(1_000, 'd')), limited)
  const last = journal.entries.at(-1)
  assert.ok(last?.kind === 'refused')
  assert.match(last.reason, /^d asks more often/)
})

test('Issuer.issue refuses evidence of a kind that it was not told to take', async () => {
  const { issuer, journal } = await memoryCa(NOW_MS)
  const csr = createCsr(crypto.generateKey('ec-p256'))
  for (const kind of ['oidc', 'kubernetes'] as const)
    await assert.rejects(issuer.issue(csr, { kind, token: 'x' }, { nowMs: NOW_MS }), {
      code: 'CA_EVIDENCE_UNSUPPORTED',
    })
  assert.equal(journal.entries.length, 2)
})

test('Issuer.issue refuses a request that names another identity', openssl(), async (t) => {
  const { issuer, journal, token } = await memoryCa(NOW_MS)
  const evidence = { kind: 'join-token', token: await token() } as const
  const other = 'URI:spiffe://example.org/ns/bank/sa/vault'
  for (const names of [other, `URI:${WEB.toString()},${other}`, `DNS:web,${other}`]) {
    const csr = await opensslCsr(t, ...EC_KEY, '-addext', `subjectAltName=${names}`)
    await assert.rejects(issuer.issue(csr, evidence, { nowMs: NOW_MS }), { code: 'CA_CSR_IDENTITY' })
  }
  const entry = journal.entries.at(-1)
  assert.ok(entry?.kind === 'refused')
  assert.equal(entry.spiffeId, WEB.toString(), 'the journal tells who tried')
  assert.match(entry.reason, /bank\/sa\/vault/)
})

test('Issuer.issue takes nothing but the key from a request that names its sender', openssl(), async (t) => {
  const { issuer, token } = await memoryCa(NOW_MS)
  const evidence = { kind: 'join-token', token: await token() } as const
  const names = `subjectAltName=URI:${WEB.toString()},DNS:bank.example.org`
  const csr = await opensslCsr(t, ...EC_KEY, '-addext', names, '-addext', 'basicConstraints=critical,CA:TRUE')
  const { chain } = await issuer.issue(csr, evidence, { nowMs: NOW_MS })
  assert.equal(chain[0].subject.text, '')
  assert.deepEqual(chain[0].subjectAltNames.dnsNames, [])
  assert.notEqual(chain[0].basicConstraints?.ca, true)
})

test('Issuer.issue hands out nothing that the journal does not hold', async () => {
  const { issuer, journal, token } = await memoryCa(NOW_MS)
  const evidence = { kind: 'join-token', token: await token() } as const
  const csr = createCsr(crypto.generateKey('ec-p256'))
  journal.failure = new CaError('CA_STORE_IO', 'The disk is full')
  await assert.rejects(issuer.issue(csr, evidence, { nowMs: NOW_MS }), { code: 'CA_STORE_IO' })
  journal.failure = undefined
  await issuer.issue(csr, evidence, { nowMs: NOW_MS })
})

test('Issuer.issue works on a bounded number of requests at a time', async () => {
  const waiting = Promise.withResolvers<never>()
  waiting.promise.catch(() => {})
  const stuck = { attest: () => waiting.promise }
  const { issuer } = await memoryCa(NOW_MS, { attestors: { 'join-token': stuck, 'peer-svid': stuck } })
  const csr = createCsr(crypto.generateKey('ec-p256'))
  const evidence = { kind: 'join-token', token: 'hfj_' } as const
  const pending = Array.from({ length: 64 }, () => issuer.issue(csr, evidence, { nowMs: NOW_MS }))
  await assert.rejects(issuer.issue(csr, evidence, { nowMs: NOW_MS }), { code: 'CA_BUSY' })
  waiting.reject(new CaError('CA_TOKEN_UNKNOWN', 'No such token'))
  await Promise.allSettled(pending)
  await assert.rejects(issuer.issue(csr, evidence, { nowMs: NOW_MS }), { code: 'CA_TOKEN_UNKNOWN' })
})

test('Issuer.issue gives nobody the identity of the controller', async () => {
  const controller = SpiffeId.parse('spiffe://example.org/ns/handfast-system/sa/controller')
  const { authority, journal, tokens, token } = await memoryCa(NOW_MS)
  const attestors = {
    'join-token': new JoinTokenAttestor({ crypto, store: tokens }),
    'peer-svid': new PeerSvidAttestor(),
  }
  const issuer = new Issuer({ authority, journal, attestors, reserved: controller })
  const csr = createCsr(crypto.generateKey('ec-p256'))
  for (const evidence of [
    { kind: 'join-token', token: await token(controller) },
    { kind: 'peer-svid', id: controller, serialNumber: '7f', expiresAtMs: NOW_MS + HOUR_MS },
  ] as const)
    await assert.rejects(issuer.issue(csr, evidence, { nowMs: NOW_MS }), { code: 'CA_RESERVED_IDENTITY' })
  await issuer.issue(csr, { kind: 'join-token', token: await token() }, { nowMs: NOW_MS })
})

test('Issuer.issue records refusals at a bounded rate, and how many it left out', async () => {
  const { issuer, journal, token } = await memoryCa(NOW_MS)
  const csr = createCsr(crypto.generateKey('ec-p256'))
  const refuse = (nowMs: number): Promise<void> =>
    assert.rejects(issuer.issue(csr, undefined, { nowMs }), { code: 'CA_NO_EVIDENCE' })
  for (let i = 0; i < 150; i++) await refuse(NOW_MS)
  assert.equal(journal.entries.length, 100)
  await issuer.issue(csr, { kind: 'join-token', token: await token() }, { nowMs: NOW_MS })
  assert.equal(journal.entries.at(-1)!.kind, 'issued', 'what is issued is always recorded')
  await refuse(NOW_MS + 999)
  await refuse(NOW_MS + 1_000)
  await refuse(NOW_MS + 1_001)
  assert.equal(journal.entries.length, 102)
  const last = journal.entries.at(-1)
  assert.ok(last?.kind === 'refused')
  assert.equal(last.unrecordedBefore, 51)
})

test('Issuer.issue gives nothing to an identity or a certificate that is revoked, and records it', async () => {
  const { authority, journal, token, tokens } = await memoryCa(NOW_MS)
  const attestors = {
    'join-token': new JoinTokenAttestor({ crypto, store: tokens }),
    'peer-svid': new PeerSvidAttestor(),
  }
  let revocations = revocationsOf({ spiffeIds: [WEB.toString()] })
  const issuer = new Issuer({ authority, attestors, journal, revocations: () => revocations })
  const csr = createCsr(crypto.generateKey('ec-p256'))
  const byToken = { kind: 'join-token', token: await token() } as const
  const shown = { kind: 'peer-svid', id: WEB, serialNumber: '7f', expiresAtMs: NOW_MS + 1 } as const
  const revoked = { ...shown, revoked: 'the serial number 7f is on the list' }
  for (const evidence of [byToken, shown, revoked])
    await assert.rejects(issuer.issue(csr, evidence, { nowMs: NOW_MS }), { code: 'CA_REVOKED' })
  revocations = revocationsOf({})
  await assert.rejects(issuer.issue(csr, revoked, { nowMs: NOW_MS }), { code: 'CA_REVOKED' })
  assert.deepEqual(
    journal.entries.map(codeOf),
    Array.from({ length: 4 }, () => 'CA_REVOKED'),
  )
  await issuer.issue(csr, byToken, { nowMs: NOW_MS })
  await issuer.issue(csr, shown, { nowMs: NOW_MS })
})

function codeOf(entry: JournalEntry): string {
  return entry.kind === 'refused' ? entry.code : entry.kind
}
