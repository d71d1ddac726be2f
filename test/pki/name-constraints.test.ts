import assert from 'node:assert/strict'
import test from 'node:test'
import { utf8 } from '../../src/bytes/bytes.ts'
import { encodeElement } from '../../src/crypto/der.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { contextConstructed, contextPrimitive, Tag } from '../../src/pki/der.ts'
import { issueCertificate, rootTemplate } from '../../src/pki/issue.ts'
import { encodeNameConstraints } from '../../src/pki/name-constraints-encoding.ts'
import { Oid } from '../../src/pki/oid.ts'
import { validatePath } from '../../src/pki/path.ts'
import { mintIntermediate, mintRoot, mintSvid } from '../support/certificates.ts'
import type { MintOptions } from '../support/certificates.ts'

const NOW_MS = Date.UTC(2026, 5, 1)
const now = { nowMs: NOW_MS }
const root = await mintRoot(now)

/** Validates a leaf with these names below an authority with these constraints. */
async function validate(
  constraints: Uint8Array,
  names: MintOptions & { readonly uri?: string },
): Promise<void> {
  const { uri, ...options } = names
  const extensions = [{ oid: Oid.nameConstraints, critical: true, value: constraints }]
  const authority = await mintIntermediate(root, { ...now, extensions, uris: [] })
  const leaf = await mintSvid(authority, uri, {
    ...now,
    commonName: 'leaf',
    ...(uri === undefined && { uris: [] }),
    ...options,
  })
  validatePath(leaf.chain, {
    anchors: [root.certificate],
    nowMs: NOW_MS,
    crypto: nativeCrypto(),
    usage: 'serverAuth',
  })
}

async function accepts(constraints: Uint8Array, names: Parameters<typeof validate>[1]): Promise<void> {
  await validate(constraints, names)
}

async function refuses(
  constraints: Uint8Array,
  names: Parameters<typeof validate>[1],
  message = /./,
): Promise<void> {
  await assert.rejects(
    validate(constraints, names),
    { code: 'PKI_NAME_CONSTRAINT', message },
    JSON.stringify(names),
  )
}

test('Name constraints on URIs bind an authority to its trust domain', async () => {
  const own = encodeNameConstraints({ permittedUris: ['shop.example'] })
  await accepts(own, { uri: 'spiffe://shop.example/ns/a/sa/b' })
  await accepts(own, { uri: 'spiffe://SHOP.example/ns/a/sa/b' })
  await accepts(own, { uri: 'https://user@shop.example:8443/path' })
  await refuses(
    own,
    { uri: 'spiffe://bank.example/ns/a/sa/b' },
    /bank\.example.*permits only URI "shop\.example"/,
  )
  await refuses(own, { uri: 'spiffe://eu.shop.example/ns/a/sa/b' })
  await refuses(own, { uri: 'spiffe://shop.example.evil/ns/a/sa/b' })
  await refuses(own, { uri: 'https://shop.example@evil.example/' })
  await refuses(own, { uri: 'https://127.0.0.1/' })
  await refuses(own, { uri: 'https://[::1]/' })
  await refuses(own, { uri: 'urn:uuid:1' })
  await refuses(own, { uris: ['spiffe://shop.example/a', 'spiffe://bank.example/a'] })
})

test('Name constraints on URIs with a leading dot cover what is below only', async () => {
  const below = encodeNameConstraints({ permittedUris: ['.shop.example'] })
  await accepts(below, { uri: 'spiffe://eu.shop.example/a' })
  await refuses(below, { uri: 'spiffe://shop.example/a' })
  await refuses(below, { uri: 'spiffe://evilshop.example/a' })
})

test('Name constraints exclude, and what cannot be compared counts as excluded', async () => {
  const not = encodeNameConstraints({ excludedUris: ['bank.example'], excludedDnsNames: ['bank.example'] })
  await accepts(not, { uri: 'spiffe://shop.example/a', dnsNames: ['shop.example', 'mybank.example'] })
  await refuses(not, { uri: 'spiffe://bank.example/a' }, /excludes/)
  await refuses(not, { uri: 'urn:uuid:1' })
  await refuses(not, { dnsNames: ['www.bank.example'] })
  await refuses(not, { dnsNames: ['BANK.example'] })
  await refuses(not, { dnsNames: ['*.example'] }, /excludes/)
  await refuses(not, { dnsNames: ['under_score.example'] })
})

test('Name constraints on DNS names cover the name and all below it', async () => {
  const own = encodeNameConstraints({ permittedDnsNames: ['shop.example'] })
  await accepts(own, { dnsNames: ['shop.example', 'a.b.shop.example', '*.shop.example'] })
  await accepts(own, { uri: 'spiffe://bank.example/a' })
  await refuses(own, { dnsNames: ['*.example'] })
  await refuses(own, { dnsNames: ['evilshop.example'] })
  await refuses(own, { dnsNames: ['shop.example', 'bank.example'] })
  await accepts(encodeNameConstraints({ permittedDnsNames: [''] }), { dnsNames: ['anything.example'] })
  await refuses(
    encodeNameConstraints({ permittedDnsNames: ['.shop.example'] }),
    { dnsNames: ['a.shop.example'] },
    /malformed/,
  )
})

test('Name constraints on addresses compare under the mask', async () => {
  const ip = (hex: string): Uint8Array =>
    permitted(encodeElement(contextPrimitive(7), Uint8Array.fromHex(hex)))
  await accepts(ip('0a000000ff000000'), { ipAddresses: ['10.200.3.4'] })
  await refuses(
    ip('0a000000ff000000'),
    { ipAddresses: ['11.0.0.1'] },
    /IP 11\.0\.0\.1.*10\.0\.0\.0\/255\.0\.0\.0/,
  )
  await refuses(ip('0a000000ff000000'), { ipAddresses: ['::1'] })
  await refuses(ip('0a000000ff00ff00'), { ipAddresses: ['10.0.0.1'] }, /malformed/)
  await refuses(ip('0a0000'), { ipAddresses: ['10.0.0.1'] }, /malformed/)
  const v6 = `fd000000000000000000000000000000ff000000000000000000000000000000`
  await accepts(ip(v6), { ipAddresses: ['fd12::1'] })
  await refuses(ip(v6), { ipAddresses: ['fe80::1'] })
})

test('Name constraints on directory names ignore case and spacing', async () => {
  const name = (cn: string): Uint8Array =>
    encodeElement(
      Tag.sequence,
      encodeElement(
        Tag.set,
        encodeElement(
          Tag.sequence,
          Uint8Array.fromHex('0603550403'),
          encodeElement(Tag.printableString, utf8(cn)),
        ),
      ),
    )
  const directory = (cn: string): Uint8Array => permitted(encodeElement(contextConstructed(4), name(cn)))
  await accepts(directory('Web  Front '), { commonName: 'web front' })
  await refuses(directory('web'), { commonName: 'catalog' }, /CN=catalog.*CN=web/)
})

test('Name constraints on kinds of names that nothing compares refuse those names and no others', async () => {
  const registered = encodeElement(contextPrimitive(8), Uint8Array.fromHex('2a03'))
  await accepts(permitted(registered), { uri: 'spiffe://shop.example/a' })
  const san = { oid: Oid.subjectAltName, critical: false, value: encodeElement(Tag.sequence, registered) }
  await refuses(permitted(registered), { extensions: [san] }, /registered ID/)
})

test('Name constraints may not cost more than a bounded number of comparisons', async () => {
  const many = Array.from({ length: 1200 }, (_, i) => `n${i}.example`)
  const constraints = encodeNameConstraints({ excludedDnsNames: many })
  const dnsNames = Array.from({ length: 100 }, (_, i) => `s${i}.shop.example`)
  await assert.rejects(validate(constraints, { dnsNames }), { code: 'PKI_LIMIT', message: /comparisons/ })
  await accepts(constraints, { dnsNames: dnsNames.slice(0, 50) })
  await refuses(constraints, { dnsNames: ['www.n1199.example'] })
})

test('Name constraints apply to every certificate below, and self-issued intermediates are exempt', async () => {
  const only = (host: string) => ({
    extensions: [
      { oid: Oid.nameConstraints, critical: true, value: encodeNameConstraints({ permittedUris: [host] }) },
    ],
  })
  const constrained = await mintRoot({ ...now, ...only('shop.example') })
  const wanderer = await mintIntermediate(constrained, { ...now, uris: ['spiffe://bank.example'] })
  const leaf = await mintSvid(wanderer, undefined, now)
  const options = {
    anchors: [constrained.certificate],
    nowMs: NOW_MS,
    crypto: nativeCrypto(),
    usage: undefined,
  }
  assert.throws(() => validatePath(leaf.chain, options), {
    code: 'PKI_NAME_CONSTRAINT',
    certificate: wanderer.certificate,
  })
  const selfIssued = await mintIntermediate(constrained, {
    ...now,
    commonName: 'shop.example root',
    uris: ['spiffe://bank.example'],
  })
  validatePath((await mintSvid(selfIssued, undefined, now)).chain, options)
})

test('rootTemplate, constrained, makes an authority that cannot certify another trust domain', async () => {
  const key = nativeCrypto().generateKey('ec-p256')
  const lifetime = { notBeforeMs: NOW_MS - 60_000, notAfterMs: NOW_MS + 600_000_000 }
  const certificate = await issueCertificate(
    rootTemplate({ trustDomain: 'shop.example', publicKey: key.publicKey, constrained: true, ...lifetime }),
    { signingKey: key },
  )
  const anchor = { certificate, key, chain: [] }
  const options = { anchors: [certificate], nowMs: NOW_MS, crypto: nativeCrypto(), usage: undefined }
  validatePath((await mintSvid(anchor, 'spiffe://shop.example/a', now)).chain, options)
  const foreign = await mintSvid(anchor, 'spiffe://bank.example/a', now)
  assert.throws(() => validatePath(foreign.chain, options), { code: 'PKI_NAME_CONSTRAINT' })
})

function permitted(generalName: Uint8Array): Uint8Array {
  return encodeElement(
    Tag.sequence,
    encodeElement(contextConstructed(0), encodeElement(Tag.sequence, generalName)),
  )
}
