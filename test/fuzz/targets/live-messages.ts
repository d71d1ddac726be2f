import { nativeCrypto } from '../../../src/crypto/native-provider.ts'
import { ContentType } from '../../../src/tls/registry.ts'
import { TlsPair } from '../../support/tls-pair.ts'
import { verifierFor, type Workloads } from '../../support/tls-workloads.ts'
import { bodyOf, takeApart } from '../handshake/flight.ts'
import { FUZZ_GROUPS, fuzzCrypto } from '../handshake/fuzz-crypto.ts'
import { scenarios } from '../handshake/scenarios.ts'

/** What the scenarios of the handshake targets send when nobody disturbs them. */
export interface LiveTraffic {
  /** Whole deliveries. */
  readonly flights: readonly Uint8Array[]
  /** Bodies of all messages of a type. */
  bodies(type: number): readonly Uint8Array[]
}

/** Runs every scenario once and listens. */
export function liveTraffic(workloads: Workloads): LiveTraffic {
  const flights: Uint8Array[] = []
  const verifier = verifierFor(workloads)
  for (const { options, early } of scenarios(workloads)) {
    const { client, server } = options(true)
    using pair = new TlsPair(workloads, {
      crypto: fuzzCrypto(nativeCrypto(), { hashes: true }),
      client: { groups: FUZZ_GROUPS, verifier, ...client },
      server: { clientVerifier: verifier, ...server },
    }).start()
    if (early !== undefined) pair.client.connection.sendEarly(early)
    pair.pump((_from, bytes) => {
      flights.push(bytes.slice())
      return [bytes]
    })
    pair.client.connection.updateKeys({ requestPeer: true })
    flights.push(pair.client.take())
  }
  const messages = flights.flatMap((flight) =>
    takeApart(flight)!.flatMap(({ type, units }) => (type === ContentType.handshake ? units : [])),
  )
  return {
    flights,
    bodies: (type) =>
      messages.filter((message) => message[0] === type).map((message) => bodyOf(message).slice()),
  }
}
