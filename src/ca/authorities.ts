import { equalBytes } from '../bytes/bytes.ts'
import type { CryptoProvider, PrivateKey } from '../crypto/provider.ts'
import { messageOf } from '../errors.ts'
import { type Certificate, parseCertificate } from '../pki/certificate.ts'
import { CertificateError } from '../pki/errors.ts'
import { intermediateTemplate, issueCertificate, rootTemplate } from '../pki/issue.ts'
import { validatePath } from '../pki/path.ts'
import { CaError } from './errors.ts'
import type { AuthoritySlot, CaStore } from './store.ts'

/** A certificate authority that can sign. */
export interface Authority {
  readonly certificate: Certificate
  readonly key: PrivateKey
}

export interface AuthoritiesOptions {
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

/** Trust anchors are distributed by hand and outlive what they sign: 10 years. */
const ROOT_TTL_MS = 10 * 365 * 24 * 3600 * 1000

/**
 * Certificates begin this long before they are issued, because peers' clocks run behind: 5 minutes, what Kerberos
 * taught everyone to tolerate.
 */
export const BACKDATE_MS: number = 5 * 60 * 1000

/** An intermediate is replaced when less than this part of its life is left: months to notice if that fails. */
const REPLACE_BELOW = 1 / 3

/** The root and the intermediate of a trust domain, as they are stored. */
export class Authorities {
  readonly #options: AuthoritiesOptions
  readonly root: Authority
  #intermediate: Authority

  private constructor(options: AuthoritiesOptions, root: Authority, intermediate: Authority) {
    this.#options = options
    this.root = root
    this.#intermediate = intermediate
  }

  /**
   * Loads what is stored and judges it as a stranger's; makes what was never made.
   *
   * @throws CaError CA_STORE_…
   */
  static async open(
    options: AuthoritiesOptions,
    { nowMs, onEvent }: { readonly nowMs: number; readonly onEvent?: (event: AuthorityEvent) => void },
  ): Promise<Authorities> {
    const root = (await loadRoot(options, nowMs)) ?? (await createRoot(options, nowMs, onEvent))
    const intermediate =
      (await loadIntermediate(options, root, nowMs)) ??
      (await createIntermediate(options, root, nowMs, onEvent))
    return new Authorities(options, root, intermediate)
  }

  get intermediate(): Authority {
    return this.#intermediate
  }

  /**
   * Replaces the intermediate if it nears its end. Peers notice nothing: they trust the root.
   *
   * @throws CaError CA_STORE_IO
   */
  async maintain(nowMs: number, onEvent?: (event: AuthorityEvent) => void): Promise<void> {
    if (!isWorn(this.#intermediate.certificate, nowMs)) return
    this.#intermediate = await createIntermediate(this.#options, this.root, nowMs, onEvent)
  }
}

async function loadRoot(options: AuthoritiesOptions, nowMs: number): Promise<Authority | undefined> {
  const root = await load('root', options)
  if (root === undefined) {
    if ((await options.store.load('intermediate')) === undefined) return undefined
    // A new root would cut off every workload that trusts the old one: that is for the operator to decide.
    throw new CaError(
      'CA_STORE_CORRUPT',
      'The store has an intermediate but no root; restore the root from a backup, or empty the store to begin a new trust domain',
    )
  }
  const expected = `spiffe://${options.trustDomain}`
  const { uris } = root.certificate.subjectAltNames
  if (uris.length !== 1 || uris[0] !== expected)
    throw new CaError(
      'CA_STORE_TRUST_DOMAIN',
      `The stored root is of ${uris.join(', ') || 'no trust domain'}, expected ${expected}`,
    )
  validate('root', root.certificate, root.certificate, options.crypto, nowMs)
  return root
}

/** Undefined also for one that is worn out: another takes its place. */
async function loadIntermediate(
  options: AuthoritiesOptions,
  root: Authority,
  nowMs: number,
): Promise<Authority | undefined> {
  const intermediate = await load('intermediate', options)
  if (intermediate === undefined || isWorn(intermediate.certificate, nowMs)) return undefined
  validate('intermediate', intermediate.certificate, root.certificate, options.crypto, nowMs)
  return intermediate
}

async function load(
  slot: AuthoritySlot,
  { store, crypto }: AuthoritiesOptions,
): Promise<Authority | undefined> {
  const stored = await store.load(slot)
  if (stored === undefined) return undefined
  let authority: Authority
  try {
    authority = {
      certificate: parseCertificate(stored.certificate),
      key: crypto.importPrivateKey(stored.privateKey),
    }
  } catch (error) {
    throw new CaError('CA_STORE_CORRUPT', `The stored ${slot} is not readable: ${messageOf(error)}`, {
      cause: error,
    })
  }
  if (!equalBytes(authority.key.publicKey.spki, authority.certificate.publicKey.spki))
    throw new CaError('CA_STORE_CORRUPT', `The stored key of the ${slot} is not the key of its certificate`)
  return authority
}

function validate(
  slot: AuthoritySlot,
  certificate: Certificate,
  anchor: Certificate,
  crypto: CryptoProvider,
  nowMs: number,
): void {
  try {
    validatePath([certificate], { anchors: [anchor], nowMs, crypto, usage: undefined })
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

async function createRoot(
  { store, crypto, trustDomain }: AuthoritiesOptions,
  nowMs: number,
  onEvent?: (event: AuthorityEvent) => void,
): Promise<Authority> {
  const key = crypto.generateKey('ec-p256')
  const template = rootTemplate({
    trustDomain,
    publicKey: key.publicKey,
    notBeforeMs: nowMs - BACKDATE_MS,
    notAfterMs: nowMs + ROOT_TTL_MS,
  })
  const certificate = await issueCertificate(template, { signingKey: key })
  return keep('root', { certificate, key }, store, onEvent)
}

async function createIntermediate(
  { store, crypto, trustDomain, intermediateTtlMs }: AuthoritiesOptions,
  root: Authority,
  nowMs: number,
  onEvent?: (event: AuthorityEvent) => void,
): Promise<Authority> {
  const key = crypto.generateKey('ec-p256')
  const template = intermediateTemplate({
    trustDomain,
    publicKey: key.publicKey,
    notBeforeMs: Math.max(nowMs - BACKDATE_MS, root.certificate.notBeforeMs),
    notAfterMs: Math.min(nowMs + intermediateTtlMs, root.certificate.notAfterMs),
  })
  const certificate = await issueCertificate(template, { issuer: root.certificate, signingKey: root.key })
  validate('intermediate', certificate, root.certificate, crypto, nowMs)
  return keep('intermediate', { certificate, key }, store, onEvent)
}

async function keep(
  slot: AuthoritySlot,
  authority: Authority,
  store: CaStore,
  onEvent?: (event: AuthorityEvent) => void,
): Promise<Authority> {
  const { certificate, key } = authority
  await store.save(slot, { certificate: certificate.der, privateKey: key.exportPkcs8() })
  onEvent?.({ kind: 'created', slot, certificate })
  return authority
}
