import assert from 'node:assert/strict'
import test from 'node:test'
import { type CertificateAlarm, CertificateWitness } from '../../src/ca/certificate-witness.ts'
import { KnownCertificates } from '../../src/ca/known-certificates.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import type { Certificate } from '../../src/pki/certificate.ts'
import { issueCertificate, svidTemplate } from '../../src/pki/issue.ts'
import { createCsr } from '../../src/pki/csr.ts'
import { mintSvid, mintTrustDomain } from '../support/certificates.ts'
import { memoryCa, type MemoryCa, TRUST_DOMAIN, WEB } from '../support/memory-ca.ts'

const NOW_MS = Date.UTC(2026, 5, 1, 12)
const HOUR_MS = 3600 * 1000
const DAY_MS = 24 * HOUR_MS
const PROXY = 'spiffe://example.org/ns/shop/sa/catalog'
const crypto = nativeCrypto()

/** A witness beside an authority whose journal began a week ago, unless said otherwise. */
async function world({ begunMs = NOW_MS - 7 * DAY_MS }: { begunMs?: number } = {}) {
  const ca = await memoryCa(NOW_MS)
  const known = new KnownCertificates()
  const alarms: CertificateAlarm[] = []
  const lookUps: number[] = []
  const failures: unknown[] = []
  let broken = false
  const witness = new CertificateWitness({
    crypto,
    known,
    journal: ca.journal,
    bundle: () => ca.authority.bundle,
    isOurs: () => true,
    lookUp(sinceMs) {
      if (broken) return Promise.reject(new Error('The disk is gone'))
      lookUps.push(sinceMs)
      for (const entry of ca.journal.entries)
        if (entry.kind === 'issued' && Date.parse(entry.time) >= sinceMs)
          known.add(entry.certificateSha256, Date.parse(entry.notAfter))
      return Promise.resolve()
    },
    begunMs: () => Promise.resolve(begunMs),
    longestLifeMs: DAY_MS,
    nowMs: () => NOW_MS,
    onAlarm: (alarm) => alarms.push(alarm),
    onFailure: (error) => failures.push(error),
  })
  const meet = async (...leaves: readonly Certificate[]): Promise<number> => {
    const issuers = ca.authority.authorities.presented
    witness.report({ reportedBy: PROXY, leaves, issuers })
    await witness.settled()
    return alarms.length
  }
  return { ca, known, alarms, lookUps, failures, meet, witness, breakDisk: (is: boolean) => (broken = is) }
}

async function issued({ issuer, token }: MemoryCa, nowMs = NOW_MS): Promise<Certificate> {
  const evidence = { kind: 'join-token', token: await token() } as const
  const { chain } = await issuer.issue(createCsr(crypto.generateKey('ec-p256')), evidence, { nowMs })
  return chain[0]
}

/** Signed with the authority's own key, and recorded by nobody. */
function forged(
  { authority }: MemoryCa,
  { fromMs = NOW_MS - 5 * 60 * 1000, toMs = NOW_MS + HOUR_MS } = {},
): Promise<Certificate> {
  const { intermediate } = authority.authorities.signer
  const key = crypto.generateKey('ec-p256')
  const template = svidTemplate({
    id: WEB.toString(),
    publicKey: key.publicKey,
    notBeforeMs: fromMs,
    notAfterMs: toMs,
  })
  return issueCertificate(template, { issuer: intermediate.certificate, signingKey: intermediate.key })
}

test('CertificateWitness raises one alarm for a certificate that our key has signed and no journal has, with the evidence', async () => {
  const { ca, alarms, meet, witness } = await world()
  const certificate = await forged(ca)
  assert.equal(await meet(certificate), 1)
  const { intermediate } = ca.authority.authorities.signer
  assert.deepEqual(alarms[0], {
    spiffeId: WEB.toString(),
    serialNumber: certificate.serialNumber,
    certificateSha256: crypto.digest('sha256', certificate.der).toHex(),
    issuerKeySha256: crypto.digest('sha256', intermediate.certificate.publicKey.spki).toHex(),
    reportedBy: PROXY,
  })
  assert.deepEqual(ca.journal.entries.at(-1), {
    kind: 'alarm',
    time: '2026-06-01T12:00:00.000Z',
    ...alarms[0],
  })
  assert.equal(await meet(certificate, certificate), 1, 'once is enough')
  assert.equal(witness.alarms, 1)
})

test('CertificateWitness knows what was issued, and looks up what it does not know, as after a restart', async () => {
  const { ca, known, lookUps, meet } = await world()
  const journal = known.learnFrom(ca.journal)
  const certificate = await issued(ca)
  await journal.append(ca.journal.entries.at(-1)!)
  assert.equal(await meet(certificate), 0)
  assert.deepEqual(lookUps, [], 'it is known')
  const others = await Promise.all([issued(ca), issued(ca), issued(ca)])
  assert.equal(await meet(...others), 0)
  assert.equal(lookUps.length, 1, 'all of a report at once')
  assert.ok(lookUps[0]! < NOW_MS - 5 * 60 * 1000, 'from before it was issued')
})

test('CertificateWitness is not alarmed by certificates of other authorities, expired ones and those that do not verify', async () => {
  const { ca, lookUps, meet } = await world()
  const partner = await mintTrustDomain('partner.example', { nowMs: NOW_MS })
  const impostor = await mintTrustDomain(TRUST_DOMAIN, { nowMs: NOW_MS })
  const [foreign, fake] = await Promise.all([
    mintSvid(partner.intermediate, 'spiffe://partner.example/a', { nowMs: NOW_MS }),
    mintSvid(impostor.intermediate, WEB.toString(), { nowMs: NOW_MS }),
  ])
  const old = await forged(ca, { fromMs: NOW_MS - 60_000, toMs: NOW_MS - 30_000 })
  assert.equal(await meet(foreign.certificate, fake.certificate, old), 0)
  assert.deepEqual(lookUps, [])
})

test('CertificateWitness is not alarmed by what was issued before the journal began, and is by what cannot have been', async () => {
  const begunMs = NOW_MS - 2 * 60 * 1000
  const { ca, meet } = await world({ begunMs })
  assert.equal(await meet(await forged(ca, { fromMs: begunMs - 30 * 60 * 1000 })), 0)
  assert.equal(await meet(await forged(ca, { toMs: NOW_MS + 20 * DAY_MS })), 1, 'none of ours lives so long')
})

test('CertificateWitness is not alarmed while the journals cannot be read, and is afterwards', async () => {
  const { ca, failures, meet, breakDisk } = await world()
  const certificate = await forged(ca)
  breakDisk(true)
  assert.equal(await meet(certificate), 0)
  assert.equal(failures.length, 1)
  breakDisk(false)
  assert.equal(await meet(certificate), 1)
})

test('KnownCertificates forgets what has ended', () => {
  const known = new KnownCertificates()
  known.add('aa', NOW_MS)
  known.add('bb', NOW_MS + 1)
  known.sweep(NOW_MS + 1)
  assert.deepEqual([known.has('aa'), known.has('bb')], [false, true])
})
