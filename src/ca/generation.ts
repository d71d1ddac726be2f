import { equalBytes } from '../bytes/bytes.ts'
import type { CryptoProvider, PrivateKey } from '../crypto/provider.ts'
import { messageOf } from '../errors.ts'
import { type Certificate, parseCertificate } from '../pki/certificate.ts'
import { CertificateError } from '../pki/errors.ts'
import { intermediateTemplate, issueCertificate, rootTemplate } from '../pki/issue.ts'
import { validatePath } from '../pki/path.ts'
import { bridgeFrom } from './bridge.ts'
import { CaError } from './errors.ts'
import type { OperatorAuthority } from './operator-authority.ts'
import { type AuthoritySlot, type CaStore, slotOf, type StoredAuthority } from './store.ts'

/** A certificate authority that can sign. */
export interface Authority {
  readonly certificate: Certificate
  readonly key: PrivateKey
}

/** One root with the intermediate that signs in its name. A rotation replaces both by the next generation. */
export interface Generation {
  readonly number: number
  /** The trust anchor; its key is missing when its operator keeps it elsewhere. */
  readonly root: { readonly certificate: Certificate; readonly key: PrivateKey | undefined }
  readonly intermediate: Authority
  /** What is shown to peers along with the intermediate. */
  readonly chain: readonly Certificate[]
}

export interface GenerationOptions {
  readonly store: CaStore
  readonly crypto: CryptoProvider
  readonly trustDomain: string
  /** How long an intermediate lives. */
  readonly intermediateTtlMs: number
}

/** What happened to the authorities, for the log. */
export type AuthorityEvent = {
  readonly kind: 'created'
  readonly slot: AuthoritySlot
  readonly certificate: Certificate
}

/** At which time to do something, and whom to tell. */
export interface AuthorityContext {
  readonly nowMs: number
  readonly onEvent?: ((event: AuthorityEvent) => void) | undefined
}

/** Trust anchors are distributed by hand and outlive what they sign: 10 years. */
const ROOT_TTL_MS = 10 * 365 * 24 * 3600 * 1000

/**
 * Certificates begin this long before they are issued, because peers' clocks run behind: 5 minutes, what Kerberos
 * taught everyone to tolerate.
 */
export const BACKDATE_MS: number = 5 * 60 * 1000

/** An intermediate is replaced when less than this part of its life is left: months to notice if that fails. */
const REPLACE_BELOW = 1 / 3

/**
 * Loads a generation and judges it as a stranger's; undefined when nothing of it is stored. A root without intermediate
 * gets one: a crash came between them.
 *
 * @throws CaError CA_STORE_…
 */
export async function loadGeneration(
  number: number,
  options: GenerationOptions,
  context: AuthorityContext,
): Promise<Generation | undefined> {
  const root = await loadRoot(number, options, context)
  if (root === undefined) return undefined
  const generation = await loadIntermediate(number, root, options)
  if (generation === undefined) return withNewIntermediate({ number, root, chain: [] }, options, context)
  if (isWorn(generation.intermediate.certificate, context.nowMs) && root.key !== undefined)
    return withNewIntermediate(generation, options, context)
  validateGeneration(generation, options, context)
  return generation
}

/**
 * Loads a generation that another keeps in order, and judges it as a stranger's.
 *
 * @throws CaError CA_STORE_…
 */
export async function followGeneration(
  number: number,
  options: GenerationOptions,
  context: AuthorityContext,
): Promise<Generation> {
  const root = await loadRoot(number, options, context)
  const generation = root && (await loadIntermediate(number, root, options))
  if (generation === undefined)
    throw new CaError('CA_STORE_CORRUPT', `The store lacks the authority ${number}; restore it from a backup`)
  validateGeneration(generation, options, context)
  return generation
}

async function loadIntermediate(
  number: number,
  root: Generation['root'],
  { store, crypto }: GenerationOptions,
): Promise<Generation | undefined> {
  const slot = slotOf('intermediate', number)
  const stored = await store.load(slot)
  if (stored === undefined) return undefined
  const chain = readChain(slot, stored).filter(({ der }) => !equalBytes(der, root.certificate.der))
  return { number, root, intermediate: readAuthority(slot, stored, crypto), chain }
}

function validateGeneration(
  { number, root, intermediate, chain }: Generation,
  { crypto }: GenerationOptions,
  { nowMs }: AuthorityContext,
): void {
  const slot = slotOf('intermediate', number)
  validate(slot, [intermediate.certificate, ...chain], root.certificate, crypto, nowMs)
}

/**
 * Makes and stores a generation of our own.
 *
 * @param predecessor signs the new root too, so that whoever trusts only the old one can follow. @default none
 * @throws CaError CA_STORE_IO
 */
export async function createGeneration(
  number: number,
  options: GenerationOptions,
  { predecessor, ...context }: AuthorityContext & { readonly predecessor?: Generation },
): Promise<Generation> {
  const key = options.crypto.generateKey('ec-p256')
  const { trustDomain } = options
  const template = rootTemplate({
    trustDomain,
    publicKey: key.publicKey,
    notBeforeMs: context.nowMs - BACKDATE_MS,
    notAfterMs: context.nowMs + ROOT_TTL_MS,
    ...(number > 1 && { commonName: `${trustDomain} root ${number}` }),
  })
  const root = {
    certificate: await issueCertificate(template, { signingKey: key }),
    key,
  }
  await saveRoot(number, root, options, context)
  const bridge = predecessor === undefined ? undefined : await bridgeFrom(predecessor, root.certificate)
  const chain = bridge === undefined ? [] : [bridge]
  return withNewIntermediate({ number, root, chain }, options, context)
}

/**
 * Makes and stores a generation of an authority that an operator brings along, judged already. Of a root we sign the
 * intermediates ourselves; the root of an intermediate has no key here.
 *
 * @throws CaError CA_OPERATOR_AUTHORITY, CA_STORE_IO
 */
export async function adoptGeneration(
  number: number,
  options: GenerationOptions,
  {
    authority,
    predecessor,
    ...context
  }: AuthorityContext & { readonly authority: OperatorAuthority; readonly predecessor?: Generation },
): Promise<Generation> {
  const { certificate, key } = authority
  const anchor = authority.chain.at(-1) ?? certificate
  const bridge = predecessor === undefined ? undefined : await bridgeFrom(predecessor, anchor)
  const chain = [...authority.chain.slice(0, -1), ...(bridge === undefined ? [] : [bridge])]
  if (authority.chain.length === 0) {
    const root = { certificate, key }
    await saveRoot(number, root, options, context)
    return withNewIntermediate({ number, root, chain }, options, context)
  }
  await saveIntermediate(number, { certificate, key }, [...chain, anchor], options, context)
  const root = { certificate: anchor, key: undefined }
  return { number, root, intermediate: { certificate, key }, chain }
}

/**
 * The generation with a new intermediate if the present one nears its end. Peers notice nothing: they trust the root.
 *
 * @throws CaError CA_STORE_IO
 */
export async function maintainGeneration(
  generation: Generation,
  options: GenerationOptions,
  context: AuthorityContext,
): Promise<Generation> {
  if (generation.root.key === undefined || !isWorn(generation.intermediate.certificate, context.nowMs))
    return generation
  return withNewIntermediate(generation, options, context)
}

/** Deletes what is stored of a generation, its keys first. @throws CaError CA_STORE_IO */
export async function discardGeneration(number: number, store: CaStore): Promise<void> {
  for (const role of ['intermediate', 'root'] as const) await store.remove(slotOf(role, number))
}

async function loadRoot(
  number: number,
  { store, crypto, trustDomain }: GenerationOptions,
  { nowMs }: AuthorityContext,
): Promise<Generation['root'] | undefined> {
  const slot = slotOf('root', number)
  const stored = await store.load(slot)
  const root = stored === undefined ? await foreignRoot(number, store) : readAuthority(slot, stored, crypto)
  if (root === undefined) return undefined
  const expected = `spiffe://${trustDomain}`
  // An operator's root need not bear the name of a trust domain.
  const names = root.certificate.subjectAltNames.uris.filter((uri) => uri.startsWith('spiffe:'))
  if (names.some((uri) => uri !== expected))
    throw new CaError(
      'CA_STORE_TRUST_DOMAIN',
      `The stored ${slot} is of ${names.join(', ')}, expected ${expected}`,
    )
  validate(slot, [root.certificate], root.certificate, crypto, nowMs)
  return root
}

/** The root of an operator's intermediate is kept with it, as the last of its chain. */
async function foreignRoot(number: number, store: CaStore): Promise<Generation['root'] | undefined> {
  const slot = slotOf('intermediate', number)
  const stored = await store.load(slot)
  const last = stored === undefined ? undefined : readChain(slot, stored).at(-1)
  return last?.subject.equals(last.issuer) === true ? { certificate: last, key: undefined } : undefined
}

function readAuthority(
  slot: AuthoritySlot,
  { certificate, privateKey }: StoredAuthority,
  crypto: CryptoProvider,
): Authority {
  const authority = readable(slot, () => ({
    certificate: parseCertificate(certificate),
    key: crypto.importPrivateKey(privateKey),
  }))
  if (!equalBytes(authority.key.publicKey.spki, authority.certificate.publicKey.spki))
    throw new CaError('CA_STORE_CORRUPT', `The stored key of the ${slot} is not the key of its certificate`)
  return authority
}

function readChain(slot: AuthoritySlot, { chain = [] }: StoredAuthority): readonly Certificate[] {
  return readable(slot, () => chain.map(parseCertificate))
}

function readable<T>(slot: AuthoritySlot, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new CaError('CA_STORE_CORRUPT', `The stored ${slot} is not readable: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

function validate(
  slot: AuthoritySlot,
  chain: readonly Certificate[],
  anchor: Certificate,
  crypto: CryptoProvider,
  nowMs: number,
): void {
  try {
    validatePath(chain, { anchors: [anchor], nowMs, crypto, usage: undefined })
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error
    const untimely = error.code === 'PKI_EXPIRED' || error.code === 'PKI_NOT_YET_VALID'
    throw new CaError(
      untimely ? 'CA_STORE_EXPIRED' : 'CA_STORE_CORRUPT',
      `The stored ${slot} does not stand up to verification: ${error.message}`,
      { cause: error },
    )
  }
}

function isWorn({ notBeforeMs, notAfterMs }: Certificate, nowMs: number): boolean {
  return notAfterMs - nowMs < (notAfterMs - notBeforeMs) * REPLACE_BELOW
}

async function withNewIntermediate(
  generation: Omit<Generation, 'intermediate'>,
  options: GenerationOptions,
  { nowMs, onEvent }: AuthorityContext,
): Promise<Generation> {
  const { crypto, trustDomain, intermediateTtlMs } = options
  const { number, root, chain } = generation
  const slot = slotOf('intermediate', number)
  if (root.key === undefined)
    throw new CaError(
      'CA_STORE_CORRUPT',
      `The ${slot} is missing and cannot be made without the key of its root`,
    )
  const key = crypto.generateKey('ec-p256')
  const template = intermediateTemplate({
    trustDomain,
    publicKey: key.publicKey,
    notBeforeMs: Math.max(nowMs - BACKDATE_MS, root.certificate.notBeforeMs),
    notAfterMs: Math.min(nowMs + intermediateTtlMs, root.certificate.notAfterMs),
  })
  const certificate = await issueCertificate(template, {
    issuer: root.certificate,
    signingKey: root.key,
  })
  validate(slot, [certificate], root.certificate, crypto, nowMs)
  await saveIntermediate(number, { certificate, key }, chain, options, { nowMs, onEvent })
  return { ...generation, intermediate: { certificate, key } }
}

async function saveRoot(
  number: number,
  { certificate, key }: Authority,
  { store }: GenerationOptions,
  { onEvent }: AuthorityContext,
): Promise<void> {
  const slot = slotOf('root', number)
  await store.save(slot, { certificate: certificate.der, privateKey: key.exportPkcs8() })
  onEvent?.({ kind: 'created', slot, certificate })
}

async function saveIntermediate(
  number: number,
  { certificate, key }: Authority,
  chain: readonly Certificate[],
  { store }: GenerationOptions,
  { onEvent }: AuthorityContext,
): Promise<void> {
  const slot = slotOf('intermediate', number)
  await store.save(slot, {
    certificate: certificate.der,
    privateKey: key.exportPkcs8(),
    ...(chain.length > 0 && { chain: chain.map(({ der }) => der) }),
  })
  onEvent?.({ kind: 'created', slot, certificate })
}
