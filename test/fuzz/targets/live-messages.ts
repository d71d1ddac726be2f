import { ContentType } from '../../../src/tls/registry.ts'
import type { Workloads } from '../../support/tls-workloads.ts'
import { bodyOf, takeApart } from '../handshake/flight.ts'
import { ScenarioRun } from '../handshake/scenario-run.ts'
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
  for (const scenario of scenarios(workloads)) {
    using run = new ScenarioRun(workloads, scenario).handshake((_from, bytes) => {
      flights.push(bytes.slice())
      return [bytes]
    })
    if (run.client.session === undefined) continue
    run.client.connection.updateKeys({ requestPeer: true })
    flights.push(run.client.take())
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
