import assert from 'node:assert/strict'
import test from 'node:test'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { portableCrypto } from '../../src/crypto/portable-provider.ts'
import type { CryptoProvider, PublicKey } from '../../src/crypto/provider.ts'
import type { Certificate } from '../../src/pki/certificate.ts'
import type { PkiErrorCode } from '../../src/pki/errors.ts'
import { CertificateError } from '../../src/pki/errors.ts'
import { Oid } from '../../src/pki/oid.ts'
import { validatePath } from '../../src/pki/path.ts'
import type { PathOptions } from '../../src/pki/path.ts'
import { mintIntermediate, mintLeaf, mintRoot, mintSvid, UNKNOWN_CRITICAL } from '../support/certificates.ts'
import type { MintOptions, Minted } from '../support/certificates.ts'

const NOW_MS = Date.UTC(2026, 5, 1)
const DAY_MS = 86_400_000
const now = { nowMs: NOW_MS }
const root = await mintRoot(now)
const intermediate = await mintIntermediate(root, now)
const svid = await mintSvid(intermediate, undefined, now)

interface Chain {
  readonly chain: readonly Certificate[]
  readonly anchors?: readonly Certificate[]
}

function validate({ chain, anchors = [root.certificate] }: Chain, overrides: Partial<PathOptions> = {}) {
  return validatePath(chain, {
    anchors,
    nowMs: NOW_MS,
    crypto: nativeCrypto(),
    usage: 'serverAuth',
    ...overrides,
  })
}

/** Asserts the code, and that the error blames this certificate. */
function refuses(
  chain: Chain,
  expected: { readonly code: PkiErrorCode; readonly blames?: Minted; readonly message?: RegExp },
  overrides: Partial<PathOptions> = {},
): void {
  assert.throws(
    () => validate(chain, overrides),
    (error: unknown) => {
      assert.ok(error instanceof CertificateError, String(error))
      assert.equal(error.code, expected.code, error.message)
      if (expected.blames !== undefined)
        assert.equal(error.certificate, expected.blames.certificate, error.message)
      if (expected.message !== undefined) assert.match(error.message, expected.message)
      return true
    },
  )
}

/** A path whose leaf, intermediate or root is made as told. */
async function made(what: {
  readonly root?: MintOptions
  readonly intermediate?: MintOptions
  readonly leaf?: MintOptions
}) {
  const top = what.root === undefined ? root : await mintRoot({ ...now, ...what.root })
  const middle = await mintIntermediate(top, { ...now, ...what.intermediate })
  const leaf = await mintSvid(middle, undefined, { ...now, ...what.leaf })
  return { root: top, intermediate: middle, leaf, chain: leaf.chain, anchors: [top.certificate] }
}

test('validatePath accepts a proper chain and tells when it ends', () => {
  const { path, expiresAtMs } = validate({ chain: svid.chain })
  assert.deepEqual(path, [svid.certificate, intermediate.certificate, root.certificate])
  assert.equal(expiresAtMs, NOW_MS + 3_600_000)
})

test('validatePath tells the end of the shortest-lived certificate, not of the leaf', async () => {
  const path = await made({ intermediate: { notAfterMs: NOW_MS + 60_000 } })
  assert.equal(validate(path).expiresAtMs, NOW_MS + 60_000)
})

test('validatePath takes intermediates in any order, with useless ones and the root among them', async () => {
  const other = await mintRoot({ ...now, commonName: 'other root' })
  const stray = await mintIntermediate(other, { ...now, commonName: 'stray' })
  const chain = [
    svid.certificate,
    stray.certificate,
    root.certificate,
    other.certificate,
    intermediate.certificate,
  ]
  assert.deepEqual(validate({ chain }).path, [svid.certificate, intermediate.certificate, root.certificate])
})

test('validatePath stops at an anchor that is an intermediate, or the leaf itself', async () => {
  const anchors = [intermediate.certificate]
  assert.equal(validate({ chain: svid.chain, anchors }).path.length, 2)
  const pinned = await mintLeaf(intermediate, now)
  assert.deepEqual(validate({ chain: [pinned.certificate], anchors: [pinned.certificate] }).path, [
    pinned.certificate,
  ])
})

test('validatePath costs one signature check for each step', () => {
  const counting = countingCrypto()
  validate({ chain: svid.chain }, { crypto: counting.crypto })
  assert.equal(counting.checks(), 2)
})

test('validatePath refuses certificates outside their validity, wherever they stand, naming both times', async () => {
  const past = { notBeforeMs: NOW_MS - 9 * DAY_MS, notAfterMs: NOW_MS - DAY_MS }
  const future = { notBeforeMs: NOW_MS + DAY_MS, notAfterMs: NOW_MS + 9 * DAY_MS }
  for (const place of ['leaf', 'intermediate', 'root'] as const) {
    const expired = await made({ [place]: past })
    const message = /2026-05-31T00:00:00Z.*2026-06-01T00:00:00Z/
    refuses(expired, { code: 'PKI_EXPIRED', blames: expired[place], message })
    const early = await made({ [place]: future })
    refuses(early, {
      code: 'PKI_NOT_YET_VALID',
      blames: early[place],
      message: /2026-06-02T00:00:00Z.*2026-06-01T/,
    })
  }
})

test('validatePath counts the seconds of notBefore and notAfter as valid', () => {
  const { notBeforeMs, notAfterMs } = svid.certificate
  for (const nowMs of [notBeforeMs, notAfterMs, notAfterMs + 999.9])
    validate({ chain: svid.chain }, { nowMs })
  refuses({ chain: svid.chain }, { code: 'PKI_NOT_YET_VALID' }, { nowMs: notBeforeMs - 0.1 })
  refuses({ chain: svid.chain }, { code: 'PKI_EXPIRED' }, { nowMs: notAfterMs + 1000 })
})

test('validatePath refuses what no anchor vouches for, and tells an incomplete chain from an untrusted root', async () => {
  refuses(
    { chain: [svid.certificate] },
    { code: 'PKI_UNKNOWN_ISSUER', blames: svid, message: /did not send/ },
  )
  const stranger = await made({ root: { commonName: 'stranger' } })
  refuses({ chain: stranger.chain }, { code: 'PKI_UNKNOWN_ISSUER', blames: stranger.intermediate })
  refuses(
    { chain: [...stranger.chain, stranger.root.certificate] },
    {
      code: 'PKI_UNTRUSTED_ROOT',
      blames: stranger.root,
      message: /trust anchors are "CN=shop\.example root"/,
    },
  )
  refuses({ chain: svid.chain, anchors: [] }, { code: 'PKI_UNKNOWN_ISSUER', message: /no trust anchors/ })
})

test('validatePath takes an anchor of the same name with another key for an unknown issuer', async () => {
  const namesake = await mintRoot(now)
  refuses(
    { chain: svid.chain, anchors: [namesake.certificate] },
    { code: 'PKI_UNKNOWN_ISSUER', blames: intermediate, message: /another key/ },
  )
  validate({ chain: svid.chain, anchors: [namesake.certificate, root.certificate] })
})

test('validatePath asks the signature before it believes key identifiers', async () => {
  const expired = await made({
    intermediate: { notBeforeMs: NOW_MS - 9 * DAY_MS, notAfterMs: NOW_MS - DAY_MS },
  })
  const renamed = { ...expired.intermediate.certificate, subjectKeyIdentifier: Uint8Array.of(1) }
  refuses({ chain: [expired.leaf.certificate, renamed] }, { code: 'PKI_EXPIRED' })
  const valid = { ...intermediate.certificate, subjectKeyIdentifier: Uint8Array.of(1) }
  validate({ chain: [svid.certificate, valid] })
})

test('validatePath keeps messages short and free of control characters', async () => {
  const anchors = await Promise.all(
    Array.from({ length: 7 }, (_, i) => mintRoot({ ...now, commonName: `anchor ${i}` })),
  )
  const leaf = await mintSvid(intermediate, 'spiffe://shop.example/\u001b[2J', now)
  const chain = { chain: [leaf.certificate], anchors: anchors.map(({ certificate }) => certificate) }
  refuses(chain, { code: 'PKI_UNKNOWN_ISSUER', message: /^[\x20-\x7e]*\\x1b\[2J[\x20-\x7e]*and 2 more$/ })
})

test('validatePath refuses signatures that the issuer did not make', async () => {
  const signWith = nativeCrypto().generateKey('ec-p256')
  const forgedLeaf = await made({ leaf: { signWith } })
  refuses(forgedLeaf, { code: 'PKI_BAD_SIGNATURE', blames: forgedLeaf.leaf })
  const forgedIntermediate = await made({ intermediate: { signWith } })
  refuses(forgedIntermediate, { code: 'PKI_BAD_SIGNATURE', blames: forgedIntermediate.intermediate })
  const p384 = nativeCrypto().generateKey('ec-p384')
  const otherKind = await made({ leaf: { signWith: p384 } })
  refuses(otherKind, { code: 'PKI_BAD_SIGNATURE', blames: otherKind.leaf })
})

test('validatePath accepts no signature over changed contents', () => {
  const { tbs } = svid.certificate
  for (let i = 0; i < tbs.length; i += 7) {
    const changed = tbs.slice()
    changed[i]! ^= 1
    refuses(
      { chain: [{ ...svid.certificate, tbs: changed }, intermediate.certificate] },
      { code: 'PKI_BAD_SIGNATURE' },
    )
  }
})

test('validatePath refuses issuers that are no authorities', async () => {
  for (const place of ['intermediate', 'root'] as const) {
    const notCa = await made({
      [place]: { ca: false, keyUsage: ['digitalSignature'], without: ['pathLength'] },
    })
    refuses(notCa, { code: 'PKI_NOT_A_CA', blames: notCa[place] })
    const cannotSign = await made({ [place]: { keyUsage: ['cRLSign'] } })
    refuses(cannotSign, { code: 'PKI_KEY_USAGE', blames: cannotSign[place] })
    const anyUse = await made({ [place]: { without: ['keyUsage'] } })
    validate(anyUse)
  }
})

test('validatePath refuses leaves that issue: an SVID is no authority', async () => {
  const ambitious = await mintSvid(intermediate, undefined, { ...now, commonName: 'web' })
  const below = await mintSvid(ambitious, 'spiffe://shop.example/ns/default/sa/admin', now)
  refuses({ chain: below.chain }, { code: 'PKI_NOT_A_CA', blames: ambitious })
})

test('validatePath counts intermediates against pathLen and against its own limit', async () => {
  const lower = await mintIntermediate(intermediate, { ...now, commonName: 'lower' })
  const deep = await mintSvid(lower, undefined, now)
  refuses(
    { chain: deep.chain },
    { code: 'PKI_PATH_LENGTH', blames: intermediate, message: /allows 0 .* 1 follow/ },
  )
  const upper = await mintIntermediate(root, { ...now, pathLength: 1 })
  const allowed = await mintSvid(
    await mintIntermediate(upper, { ...now, commonName: 'lower' }),
    undefined,
    now,
  )
  assert.equal(validate({ chain: allowed.chain }).path.length, 4)
  refuses(
    { chain: allowed.chain },
    { code: 'PKI_PATH_LENGTH', message: /more than the 1/ },
    { maxIntermediates: 1 },
  )
  const rootless = await made({ root: { pathLength: 0 } })
  refuses(rootless, { code: 'PKI_PATH_LENGTH', blames: rootless.root })
})

test('validatePath asks the leaf for its usages, and authorities for theirs', async () => {
  const clientOnly = await made({ leaf: { extendedKeyUsage: [Oid.clientAuth] } })
  refuses(clientOnly, { code: 'PKI_EXTENDED_KEY_USAGE', blames: clientOnly.leaf })
  validate(clientOnly, { usage: 'clientAuth' })
  validate(clientOnly, { usage: undefined })
  refuses(await made({ leaf: { extendedKeyUsage: [Oid.anyExtendedKeyUsage] } }), {
    code: 'PKI_EXTENDED_KEY_USAGE',
  })
  validate(await made({ leaf: { without: ['extendedKeyUsage'] } }))
  const narrowed = await made({ intermediate: { extendedKeyUsage: [Oid.clientAuth] } })
  refuses(narrowed, { code: 'PKI_EXTENDED_KEY_USAGE', blames: narrowed.intermediate })
  validate(narrowed, { usage: 'clientAuth' })
  validate(await made({ intermediate: { extendedKeyUsage: [Oid.anyExtendedKeyUsage] } }))
  const cannotSign = await made({ leaf: { keyUsage: ['keyAgreement'] } })
  refuses(cannotSign, { code: 'PKI_KEY_USAGE', blames: cannotSign.leaf })
})

test('validatePath refuses unknown critical extensions on the path, and ignores them beside it', async () => {
  for (const place of ['leaf', 'intermediate', 'root'] as const) {
    const odd = await made({ [place]: { extensions: [UNKNOWN_CRITICAL] } })
    refuses(odd, {
      code: 'PKI_UNKNOWN_CRITICAL_EXTENSION',
      blames: odd[place],
      message: /1\.3\.6\.1\.4\.1\.99999\.1/,
    })
  }
  const stray = await mintIntermediate(root, { ...now, commonName: 'stray', extensions: [UNKNOWN_CRITICAL] })
  validate({ chain: [...svid.chain, stray.certificate] })
})

test('validatePath refuses certificates that break the profile of RFC 5280', async () => {
  const extension = (oid: string, hex: string, critical: boolean) => ({
    extensions: [{ oid, critical, value: Uint8Array.fromHex(hex) }],
  })
  const policy = await made({ intermediate: extension(Oid.policyConstraints, '3003800100', false) })
  refuses(policy, { code: 'PKI_PROFILE', blames: policy.intermediate })
  const criticalPolicy = await made({ intermediate: extension(Oid.policyConstraints, '3003800100', true) })
  refuses(criticalPolicy, { code: 'PKI_UNKNOWN_CRITICAL_EXTENSION' })
  const aia = '300c300a06022a03860468747470'
  refuses(await made({ leaf: extension(Oid.authorityInfoAccess, aia, true) }), { code: 'PKI_PROFILE' })
  refuses(await made({ leaf: { keyUsage: ['digitalSignature', 'keyCertSign'] } }), { code: 'PKI_PROFILE' })
  refuses(await made({ leaf: extension(Oid.nameConstraints, '3008a00630048202' + '6162', true) }), {
    code: 'PKI_PROFILE',
  })
  refuses(await made({ leaf: { without: ['uris'] } }), { code: 'PKI_PROFILE', message: /empty subject/ })
})

test('validatePath refuses serial numbers that are not positive or too long, except of anchors', () => {
  for (const hex of ['00', '80', 'ff01', `7f${'00'.repeat(20)}`]) {
    const serialBytes = Uint8Array.fromHex(hex)
    const odd = { ...svid.certificate, serialBytes }
    refuses({ chain: [odd, intermediate.certificate] }, { code: 'PKI_PROFILE', message: /serial number/ })
    validate({ chain: svid.chain, anchors: [{ ...root.certificate, serialBytes }] })
  }
})

test('validatePath refuses weak and unusual keys and signatures', () => {
  const weak = (certificate: Certificate, publicKey: Partial<Certificate['publicKey']>): Certificate => ({
    ...certificate,
    publicKey: { ...certificate.publicKey, ...publicKey },
  })
  const rsa = { kind: 'rsa', bits: 2048, publicExponent: 65_537 } as const
  const leafWith = (publicKey: Partial<Certificate['publicKey']>): Chain => ({
    chain: [weak(svid.certificate, publicKey), intermediate.certificate],
  })
  validate(leafWith(rsa))
  refuses(leafWith({ ...rsa, bits: 1024 }), { code: 'PKI_WEAK_KEY', message: /1024 bits/ })
  refuses(leafWith({ ...rsa, bits: 2052 }), { code: 'PKI_WEAK_KEY' })
  refuses(leafWith({ ...rsa, bits: 16_384 }), { code: 'PKI_WEAK_KEY' })
  refuses(leafWith({ ...rsa, publicExponent: 1 }), { code: 'PKI_WEAK_KEY' })
  refuses(leafWith({ ...rsa, publicExponent: 65_536 }), { code: 'PKI_WEAK_KEY' })
  const { kind: _, ...noKind } = intermediate.certificate.publicKey
  const odd = { ...intermediate.certificate, publicKey: noKind }
  refuses({ chain: [svid.certificate, odd] }, { code: 'PKI_UNSUPPORTED' })
  const { parameters: __, ...sha1 } = svid.certificate.signature
  refuses(
    { chain: [{ ...svid.certificate, signature: sha1 }, intermediate.certificate] },
    { code: 'PKI_UNSUPPORTED' },
  )
})

test('validatePath verifies Ed25519, P-384, P-521 and ML-DSA signatures', async () => {
  for (const kind of ['ed25519', 'ec-p384', 'ec-p521', 'ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87'] as const) {
    const key = nativeCrypto().generateKey(kind)
    const chain = await made({ intermediate: { key }, leaf: {} })
    for (const crypto of [nativeCrypto(), portableCrypto()]) validate(chain, { crypto })
    const signWith = nativeCrypto().generateKey(kind)
    refuses(await made({ intermediate: { key }, leaf: { signWith } }), { code: 'PKI_BAD_SIGNATURE' })
  }
})

test('validatePath refuses an ML-DSA signature of another parameter set than the key of its issuer', async () => {
  const [key, signWith] = (['ml-dsa-44', 'ml-dsa-65'] as const).map((kind) =>
    nativeCrypto().generateKey(kind),
  )
  const chain = await made({ intermediate: { key: key! }, leaf: { signWith: signWith! } })
  refuses(chain, { code: 'PKI_BAD_SIGNATURE' })
})

test('validatePath reports the path that says most: an expired authority rather than an unknown one', async () => {
  const key = nativeCrypto().generateKey('ec-p256')
  const other = await mintRoot({ ...now, commonName: 'other' })
  const expired = await mintIntermediate(root, {
    ...now,
    key,
    notBeforeMs: NOW_MS - 9 * DAY_MS,
    notAfterMs: NOW_MS - DAY_MS,
  })
  const unknown = await mintIntermediate(other, { ...now, key })
  const leaf = await mintSvid(unknown, undefined, now)
  for (const others of [
    [unknown, expired],
    [expired, unknown],
  ])
    refuses(
      { chain: [leaf.certificate, ...others.map(({ certificate }) => certificate)] },
      { code: 'PKI_EXPIRED', blames: expired },
    )
})

test('validatePath finds the good one of two cross-signed authorities', async () => {
  const key = nativeCrypto().generateKey('ec-p256')
  const expired = await mintIntermediate(root, {
    ...now,
    key,
    notBeforeMs: NOW_MS - 9 * DAY_MS,
    notAfterMs: NOW_MS - DAY_MS,
  })
  const good = await mintIntermediate(root, { ...now, key })
  const leaf = await mintSvid(good, undefined, now)
  validate({ chain: [leaf.certificate, expired.certificate, good.certificate] })
})

test('validatePath bounds its work on authorities that sign each other in circles', async () => {
  const commonName = 'maze'
  const seed = await mintIntermediate(root, { ...now, commonName, without: ['pathLength'] })
  const keys = Array.from({ length: 12 }, () => nativeCrypto().generateKey('ec-p256'))
  const maze: Minted[] = []
  for (const key of keys)
    for (const signWith of keys)
      maze.push(await mintIntermediate(seed, { ...now, commonName, key, signWith, without: ['pathLength'] }))
  const leaf = await mintSvid(maze[0]!, undefined, now)
  const counting = countingCrypto()
  refuses(
    { chain: [leaf.certificate, ...maze.map(({ certificate }) => certificate)], anchors: [root.certificate] },
    { code: 'PKI_LIMIT' },
    { crypto: counting.crypto },
  )
  assert.ok(counting.checks() <= 32, `${counting.checks()} checks of signatures`)
})

test('validatePath wants a leaf and a time', () => {
  assert.throws(() => validate({ chain: [] }), TypeError)
  assert.throws(() => validate({ chain: svid.chain }, { nowMs: Number.NaN }), TypeError)
})

function countingCrypto(): { readonly crypto: CryptoProvider; readonly checks: () => number } {
  let checks = 0
  const native = nativeCrypto()
  const counting = (key: PublicKey): PublicKey => ({
    kind: key.kind,
    spki: key.spki,
    bits: key.bits,
    verify(parameters, message, signature) {
      checks++
      return key.verify(parameters, message, signature)
    },
  })
  const crypto: CryptoProvider = Object.create(native, {
    importPublicKey: { value: (spki: Uint8Array) => counting(native.importPublicKey(spki)) },
  })
  return { crypto, checks: () => checks }
}
