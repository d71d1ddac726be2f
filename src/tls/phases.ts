/** The two transitions of a handshake: each derives, from the transcript so far, the secrets of what follows. */
import type { HandshakeContext } from './handshake.ts'
import { earlyStage, type HandshakeStage, type TrafficSecrets } from './key-schedule.ts'
import type { CipherSuiteParameters } from './registry.ts'

export interface HandshakePhase {
  readonly stage: HandshakeStage
  readonly secrets: TrafficSecrets
}

/** After ServerHello: from plaintext to encrypted handshake. Wipes the shared secret. */
export function beginHandshakePhase(
  hs: HandshakeContext,
  suite: CipherSuiteParameters,
  clientRandom: Uint8Array,
  sharedSecret: Uint8Array,
): HandshakePhase {
  const stage = earlyStage(hs.crypto, suite.hash).handshake(sharedSecret)
  const secrets = owned(hs, stage.traffic(hs.transcript.hash()))
  hs.logSecret('CLIENT_HANDSHAKE_TRAFFIC_SECRET', clientRandom, secrets.client)
  hs.logSecret('SERVER_HANDSHAKE_TRAFFIC_SECRET', clientRandom, secrets.server)
  return { stage, secrets }
}

export interface ApplicationPhase {
  readonly secrets: TrafficSecrets
  readonly exporterSecret: Uint8Array
}

/** After the server's Finished: from encrypted handshake to application data. */
export function beginApplicationPhase(
  hs: HandshakeContext,
  stage: HandshakeStage,
  clientRandom: Uint8Array,
): ApplicationPhase {
  const master = stage.master()
  const transcriptHash = hs.transcript.hash()
  const secrets = owned(hs, master.traffic(transcriptHash))
  const exporterSecret = hs.own(master.exporterSecret(transcriptHash))
  master.wipe()
  hs.logSecret('CLIENT_TRAFFIC_SECRET_0', clientRandom, secrets.client)
  hs.logSecret('SERVER_TRAFFIC_SECRET_0', clientRandom, secrets.server)
  hs.logSecret('EXPORTER_SECRET', clientRandom, exporterSecret)
  return { secrets, exporterSecret }
}

/** Once both Finished have been exchanged. */
export function endHandshakePhase({ secrets }: HandshakePhase): void {
  secrets.client.fill(0)
  secrets.server.fill(0)
}

function owned(hs: HandshakeContext, { client, server }: TrafficSecrets): TrafficSecrets {
  return { client: hs.own(client), server: hs.own(server) }
}
