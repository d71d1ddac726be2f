/** The transitions of a handshake: each derives, from the transcript so far, the secrets of what follows. */
import type { HashName } from '../crypto/provider.ts'
import { Exporter } from './exporter.ts'
import type { HandshakeContext } from './handshake.ts'
import type { EarlyStage, HandshakeStage, MasterStage, TrafficSecrets } from './key-schedule.ts'
import type { CipherSuiteParameters } from './registry.ts'

/** After ClientHello, when it resumes: early data is protected by what the ticket stands for. */
export function beginEarlyPhase(
  hs: HandshakeContext,
  { suite, stage }: { readonly suite: CipherSuiteParameters; readonly stage: EarlyStage },
  clientRandom: Uint8Array,
): { readonly secret: Uint8Array } {
  const transcriptHash = hs.transcript.hashWith(suite.hash)
  const secret = hs.own(stage.clientTraffic(transcriptHash))
  hs.logSecret('CLIENT_EARLY_TRAFFIC_SECRET', clientRandom, secret)
  const exporterSecret = stage.exporterSecret(transcriptHash)
  hs.logSecret('EARLY_EXPORTER_SECRET', clientRandom, exporterSecret)
  hs.earlyExporter = hs.own(new Exporter(hs.crypto, suite.hash, exporterSecret))
  return { secret }
}

export interface HandshakePhase {
  readonly stage: HandshakeStage
  readonly secrets: TrafficSecrets
}

/** After ServerHello: from plaintext to encrypted handshake. Wipes the shared secret. */
export function beginHandshakePhase(
  hs: HandshakeContext,
  { stage: early, sharedSecret }: { readonly stage: EarlyStage; readonly sharedSecret: Uint8Array },
  clientRandom: Uint8Array,
): HandshakePhase {
  const stage = early.handshake(sharedSecret)
  const secrets = owned(hs, stage.traffic(hs.transcript.hash()))
  hs.logSecret('CLIENT_HANDSHAKE_TRAFFIC_SECRET', clientRandom, secrets.client)
  hs.logSecret('SERVER_HANDSHAKE_TRAFFIC_SECRET', clientRandom, secrets.server)
  return { stage, secrets }
}

export interface ApplicationPhase {
  /** Still needed for the resumption secret; whoever has taken it wipes the stage. */
  readonly master: MasterStage
  readonly secrets: TrafficSecrets
  readonly exporter: Exporter
}

/** After the server's Finished: from encrypted handshake to application data. */
export function beginApplicationPhase(
  hs: HandshakeContext,
  { stage, hash }: { readonly stage: HandshakeStage; readonly hash: HashName },
  clientRandom: Uint8Array,
): ApplicationPhase {
  const master = stage.master()
  const transcriptHash = hs.transcript.hash()
  const secrets = owned(hs, master.traffic(transcriptHash))
  const exporterSecret = master.exporterSecret(transcriptHash)
  hs.logSecret('CLIENT_TRAFFIC_SECRET_0', clientRandom, secrets.client)
  hs.logSecret('SERVER_TRAFFIC_SECRET_0', clientRandom, secrets.server)
  hs.logSecret('EXPORTER_SECRET', clientRandom, exporterSecret)
  return { master, secrets, exporter: hs.own(new Exporter(hs.crypto, hash, exporterSecret)) }
}

/** Once both Finished have been exchanged. */
export function endHandshakePhase({ secrets }: HandshakePhase): void {
  secrets.client.fill(0)
  secrets.server.fill(0)
}

function owned(hs: HandshakeContext, { client, server }: TrafficSecrets): TrafficSecrets {
  return { client: hs.own(client), server: hs.own(server) }
}
