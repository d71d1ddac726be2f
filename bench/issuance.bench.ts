/**
 * Certificates from requests, the whole way that the controller goes: who is the caller, is the request sound, sign,
 * verify what was signed, write the journal to the disk. Requests are made beforehand, all different. Run it with
 * `node bench/issuance.bench.ts [DIRECTORY]`; the journal is written below DIRECTORY, by default the system's for
 * temporary files, which may not be a disk.
 */
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CertificateAuthority } from '../src/ca/authority.ts'
import { Issuer } from '../src/ca/issuer.ts'
import { JoinTokenAttestor } from '../src/ca/join-token-attestor.ts'
import { createJoinToken } from '../src/ca/join-token.ts'
import { DirectoryCaStore } from '../src/ca/directory-store.ts'
import { DirectoryTokenStore } from '../src/ca/directory-token-store.ts'
import { openJournal } from '../src/ca/open-journal.ts'
import { PeerSvidAttestor } from '../src/ca/peer-svid-attestor.ts'
import type { Evidence } from '../src/ca/attestation.ts'
import { nativeCrypto } from '../src/crypto/native-provider.ts'
import { SpiffeId } from '../src/identity/spiffe-id.ts'
import { createCsr } from '../src/pki/csr.ts'
import { median } from './support/interleaved.ts'

const DAY_MS = 24 * 3600 * 1000

/** Long enough for many flushes, short enough for a laptop. */
const ROUND_MS = 2_000
const ROUNDS = 5

/** Enough that no round comes to their end. */
const REQUESTS = 512

const crypto = nativeCrypto()
const directory = await mkdtemp(join(process.argv[2] ?? tmpdir(), 'handfast-issuance-'))

try {
  await main()
} finally {
  await rm(directory, { recursive: true, force: true })
}

async function main(): Promise<void> {
  await using journal = await openJournal(join(directory, 'journal'), {
    crypto,
    trustDomain: 'example.org',
    nowMs: Date.now,
  })
  const authority = await CertificateAuthority.open(
    {
      store: await DirectoryCaStore.open(join(directory, 'ca')),
      journal,
      crypto,
      trustDomain: 'example.org',
      intermediateTtlMs: 365 * DAY_MS,
    },
    { nowMs: Date.now() },
  )
  const store = await DirectoryTokenStore.open(join(directory, 'tokens'))
  const attestors = {
    'join-token': new JoinTokenAttestor({ crypto, store }),
    'peer-svid': new PeerSvidAttestor(),
  }
  const issuer = new Issuer({ authority, attestors, journal })

  const id = SpiffeId.parse('spiffe://example.org/ns/shop/sa/web')
  const csrs = Array.from({ length: REQUESTS }, () => createCsr(crypto.generateKey('ec-p256')))
  const token = await createJoinToken(id, { crypto, store, nowMs: Date.now(), ttlMs: DAY_MS })
  const evidence: Readonly<Record<string, () => Evidence>> = {
    'by certificate': () => ({
      kind: 'peer-svid',
      id,
      serialNumber: '7f',
      expiresAtMs: Date.now() + DAY_MS,
    }),
    'by join token': () => ({ kind: 'join-token', token: token.text }),
  }

  print('Certificates issued, medians of rounds; latency from request to answer, journal on the disk\n')
  print('                       at once     /s   /s of one processor    p50 ms    p99 ms')
  for (const [name, prove] of Object.entries(evidence)) {
    for (const atOnce of [1, 8, 32]) {
      const rounds: Round[] = []
      for (let round = 0; round <= ROUNDS; round++) {
        const measured = await measure({ issuer, csrs, prove, atOnce })
        if (round > 0) rounds.push(measured)
      }
      print(row(name, atOnce, rounds))
    }
  }
  const { size } = await stat(join(directory, 'journal', 'log.jsonl'))
  print(
    `\nThe journal has ${journal.head!.size} entries, ${(size / journal.head!.size).toFixed(0)} bytes for each`,
  )
}

interface Round {
  readonly perSecond: number
  readonly perProcessorSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** So many callers at once, each with its next request as soon as the last was answered. */
async function measure({
  issuer,
  csrs,
  prove,
  atOnce,
}: {
  readonly issuer: Issuer
  readonly csrs: readonly Uint8Array[]
  readonly prove: () => Evidence
  readonly atOnce: number
}): Promise<Round> {
  const latenciesMs: number[] = []
  let next = 0
  const cpu = process.cpuUsage()
  const beginMs = performance.now()
  const caller = async (): Promise<void> => {
    while (performance.now() - beginMs < ROUND_MS) {
      const csr = csrs[next++ % csrs.length]!
      const sentMs = performance.now()
      await issuer.issue(csr, prove(), { nowMs: Date.now() })
      latenciesMs.push(performance.now() - sentMs)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, caller))
  const seconds = (performance.now() - beginMs) / 1000
  const { user, system } = process.cpuUsage(cpu)
  latenciesMs.sort((a, b) => a - b)
  const at = (part: number): number => latenciesMs[Math.floor(part * (latenciesMs.length - 1))]!
  return {
    perSecond: latenciesMs.length / seconds,
    perProcessorSecond: (latenciesMs.length * 1e6) / (user + system),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  }
}

function row(name: string, atOnce: number, rounds: readonly Round[]): string {
  const of = (figure: (round: Round) => number): number => median(rounds.map(figure))
  return [
    name.padEnd(20),
    String(atOnce).padStart(10),
    of(({ perSecond }) => perSecond)
      .toFixed(0)
      .padStart(7),
    of(({ perProcessorSecond }) => perProcessorSecond)
      .toFixed(0)
      .padStart(22),
    of(({ p50Ms }) => p50Ms)
      .toFixed(2)
      .padStart(10),
    of(({ p99Ms }) => p99Ms)
      .toFixed(2)
      .padStart(10),
  ].join('')
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
