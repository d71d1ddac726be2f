import { open } from 'node:fs/promises'
import { equalBytes } from '../../bytes/bytes.ts'
import type { CertificateAuthority } from '../../ca/authority.ts'
import { CertificateWitness } from '../../ca/certificate-witness.ts'
import type { IssuanceJournal } from '../../ca/journal.ts'
import type { KnownCertificates } from '../../ca/known-certificates.ts'
import { readRecentJournal } from '../../ca/recent-journal.ts'
import { MAX_SVID_TTL_MS } from '../../config/controller-config.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import type { Certificate } from '../../pki/certificate.ts'
import type { Logger } from '../../telemetry/log.ts'
import { journalLogs } from './replicas.ts'

export interface WitnessOptions {
  readonly stateDir: string
  readonly authority: CertificateAuthority
  readonly journal: IssuanceJournal
  readonly known: KnownCertificates
  readonly crypto: CryptoProvider
  readonly log: Logger
}

/** Judges the certificates that proxies meet by what the journals say, and raises the alarm for the operator. */
export function witnessOf({
  stateDir,
  authority,
  journal,
  known,
  crypto,
  log,
}: WitnessOptions): CertificateWitness {
  return new CertificateWitness({
    crypto,
    known,
    journal,
    bundle: () => authority.bundle,
    isOurs: (issuer, anchor) => isOurs(authority, issuer, anchor),
    lookUp: async (sinceMs) => {
      const logs = await journalLogs(stateDir)
      for (const { issued } of await Promise.all(logs.map((path) => readRecentJournal(path, sinceMs))))
        for (const { certificateSha256, expiresAtMs } of issued)
          if (certificateSha256 !== undefined) known.add(certificateSha256, expiresAtMs)
    },
    begunMs: async () => Math.max(...(await Promise.all((await journalLogs(stateDir)).map(begunMs)))),
    longestLifeMs: MAX_SVID_TTL_MS,
    nowMs: Date.now,
    onAlarm: (alarm) =>
      log.error('A certificate is in use that no controller has recorded: somebody else signs with our key', {
        ...alarm,
      }),
    onFailure: (error) => log.error('Reported certificates could not be looked up', { error }),
  })
}

/** An operator's root signs for others too; our own signs nothing but what we make. */
function isOurs({ authorities }: CertificateAuthority, issuer: Certificate, anchor: Certificate): boolean {
  return authorities.certificatesWithKey.some(
    ({ publicKey, der }) => equalBytes(publicKey.spki, issuer.publicKey.spki) || equalBytes(der, anchor.der),
  )
}

/** A journal's first line says when. */
async function begunMs(path: string): Promise<number> {
  await using file = await open(path, 'r')
  for await (const line of file.readLines({ autoClose: false }))
    return Date.parse((JSON.parse(line) as { readonly time: string }).time)
  throw new Error(`The journal ${path} is empty`)
}
