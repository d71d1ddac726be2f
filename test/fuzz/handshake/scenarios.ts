import { nativeCrypto } from '../../../src/crypto/native-provider.ts'
import { nodeCompression } from '../../../src/net/node-compression.ts'
import type { Credential, SigningKey } from '../../../src/tls/options.ts'
import type { LateAnswers } from '../../support/late-answers.ts'
import type { Role, TlsPairOptions } from '../../support/tls-pair.ts'
import { verifierFor, type Workloads } from '../../support/tls-workloads.ts'
import { fuzzCrypto } from './fuzz-crypto.ts'
import { EARLY_LIMIT, Tickets } from './tickets.ts'
import {
  ECH_KEY,
  echConfigs,
  knowsRawKeys,
  LONE_KEY,
  LOST_ECH_KEY,
  RAW_KEYS,
  SHARED_KEY,
} from './workloads.ts'

/** What a run of a scenario has for itself. */
export interface RunSettings {
  readonly hashes: boolean
  /** Those who are asked and answer later. */
  readonly answers: LateAnswers
}

/** A kind of handshake to disturb. */
export interface Scenario {
  readonly name: string
  /** The options of one run, tickets that can be used once included. */
  readonly options: (settings: RunSettings) => TlsPairOptions
  /** What the client sends before it hears anything. */
  readonly early?: Uint8Array
  /** Who may be established without knowing its peer. */
  readonly anonymous: readonly Role[]
  /** The client is established inside an encrypted hello or not at all. */
  readonly hidesName: boolean
  /** What becomes of the client when nobody disturbs it. @default established */
  readonly clientFails?: string
}

type Traits = Partial<Omit<Scenario, 'name' | 'options'>>

const COOKIE_KEY = new Uint8Array(32).fill(7)
const EARLY = new Uint8Array(200).fill(0x65)
const RETRY = { groups: ['secp256r1'] } as const
const NOBODY = undefined as never

/** Every kind of handshake that the engine makes. */
export function scenarios(workloads: Workloads): readonly Scenario[] {
  return [
    ...fullHandshakes(),
    ...resumptions(workloads),
    ...otherProofs(workloads),
    ...encryptedHellos(workloads),
    ...lateOnes(workloads),
  ]
}

function plain(name: string, options: TlsPairOptions = {}, traits: Traits = {}): Scenario {
  return { name, options: () => options, anonymous: [], hidesName: false, ...traits }
}

function resuming(
  name: string,
  tickets: Tickets,
  options: TlsPairOptions = {},
  traits: Traits = {},
): Scenario {
  return {
    ...plain(name, {}, traits),
    options: ({ hashes }) => tickets.resume(hashes, options).options,
  }
}

function fullHandshakes(): readonly Scenario[] {
  const ask = { requestOcspResponse: true, requestCertificateTimestamps: true }
  return [
    plain('mutual'),
    plain('server only', { client: ask, server: { clientVerifier: NOBODY } }, { anonymous: ['server'] }),
    plain(
      'anonymous client',
      { client: { credential: NOBODY }, server: { allowAnonymousClient: true } },
      { anonymous: ['server'] },
    ),
    plain('retry', { server: RETRY }),
    plain('retry with cookie', { server: { ...RETRY, cookieKey: COOKIE_KEY } }),
    plain('everything negotiated', {
      client: { serverName: 'orders.example', alpn: ['h2', 'http/1.1'], maxRecordBytes: 1000, ...ask },
      server: { alpn: ['h2'], maxRecordBytes: 512, suites: ['TLS_AES_256_GCM_SHA384'] },
    }),
  ]
}

function resumptions(workloads: Workloads): readonly Scenario[] {
  const single = new Tickets(workloads, 'single use')
  const early = { client: { earlyData: true }, server: { earlyData: EARLY_LIMIT } }
  return [
    resuming('resumption', single),
    resuming('resumption, sealed ticket', new Tickets(workloads, 'sealed')),
    resuming('resumption after a retry', single, { server: RETRY }),
    resuming('early data', single, early, { early: EARLY }),
    resuming('early data declined', single, { client: { earlyData: true } }, { early: EARLY }),
    resuming(
      'early data and a retry',
      single,
      { ...early, server: { ...RETRY, ...early.server } },
      { early: EARLY },
    ),
  ]
}

/** Certificates in fewer bytes, and what stands in their place. */
function otherProofs(workloads: Workloads): readonly Scenario[] {
  // zlib first: it is the quickest to make ready.
  const certificateCompression = nodeCompression.toReversed()
  const compressing = { certificateCompression }
  const raw = { rawPublicKeyVerifier: knowsRawKeys }
  const keys = { client: { externalPsks: [SHARED_KEY] }, server: { externalPsks: [SHARED_KEY] } }
  const nameless = { anonymous: ['client', 'server'] } as const
  return [
    plain('compressed certificates', { client: compressing, server: compressing }),
    plain('raw public keys', {
      client: { ...raw, credential: RAW_KEYS.client, peerCertificateTypes: ['RawPublicKey'] },
      server: { ...raw, credential: RAW_KEYS.server, peerCertificateTypes: ['RawPublicKey'] },
    }),
    plain('a raw public key and a certificate', {
      client: { ...raw, credential: RAW_KEYS.client },
      server: raw,
    }),
    plain('external key', { ...keys, server: { ...keys.server, credential: NOBODY } }, nameless),
    plain('external key after a retry', { ...keys, server: { ...keys.server, ...RETRY } }, nameless),
    plain('certificate for want of a common key', {
      client: { externalPsks: [LONE_KEY], orCertificate: true },
      server: keys.server,
    }),
    resuming('resumption by an external key', new Tickets(workloads, 'single use', keys), {}, nameless),
  ]
}

/** RFC 9849. */
function encryptedHellos(workloads: Workloads): readonly Scenario[] {
  const offered = {
    client: { serverName: 'ledger.example', ech: { configs: echConfigs(ECH_KEY) } },
    server: { ech: { keys: [ECH_KEY] } },
  }
  const hidden = { hidesName: true }
  return [
    plain('ECH', offered, hidden),
    plain('ECH and a retry', { ...offered, server: { ...offered.server, ...RETRY } }, hidden),
    plain(
      'ECH rejected',
      {
        client: { ...offered.client, ech: { configs: echConfigs(LOST_ECH_KEY) } },
        server: { ...offered.server, allowAnonymousClient: true },
      },
      { ...hidden, anonymous: ['server'], clientFails: 'TLS_ECH_REJECTED' },
    ),
    plain('ECH greased', {
      client: { serverName: 'ledger.example', ech: { grease: true } },
      server: offered.server,
    }),
    resuming(
      'ECH with early data',
      new Tickets(workloads, 'single use', offered),
      { client: { earlyData: true }, server: { earlyData: EARLY_LIMIT } },
      { ...hidden, early: EARLY },
    ),
  ]
}

/** Whatever is asked of the outside is answered later. */
function lateOnes(workloads: Workloads): readonly Scenario[] {
  const verifier = verifierFor(workloads, fuzzCrypto(nativeCrypto(), { hashes: true }))
  const tickets = new Tickets(workloads, 'single use')
  const late = ({ answers }: RunSettings): TlsPairOptions => {
    const verifying = {
      ...verifier,
      verify: (...question: Parameters<typeof verifier.verify>) =>
        answers.later(() => verifier.verify(...question)),
    }
    return {
      client: {
        verifier: verifying,
        credential: () => answers.later(() => signingLater(workloads.client, answers)),
      },
      server: {
        clientVerifier: verifying,
        credential: () => answers.later(() => signingLater(workloads.server, answers)),
      },
    }
  }
  return [
    { ...plain('late answers'), options: late },
    {
      ...plain('late answers, resumption', {}, { early: EARLY }),
      options(settings) {
        const { answers, hashes } = settings
        const { client, server } = tickets.resume(hashes, {})
        return {
          client: {
            ...late(settings).client,
            earlyData: true,
            tickets: { ...client, take: (nowMs) => answers.later(() => client.take(nowMs)) },
          },
          server: {
            ...late(settings).server,
            earlyData: EARLY_LIMIT,
            tickets: {
              store: { ...server, redeem: (...ticket) => answers.later(() => server.redeem(...ticket)) },
            },
          },
        }
      },
    },
  ]
}

function signingLater({ chain, key }: Workloads['client'], answers: LateAnswers): Credential {
  const remote: SigningKey = {
    kind: key.kind,
    sign: (...question) => answers.later(() => key.sign(...question)),
  }
  return { chain, key: remote }
}
