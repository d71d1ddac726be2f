import type { ServerResponse } from 'node:http'
import { encodeFlightLine } from '../authz/flight/encode.ts'
import type { FlightLine } from '../authz/flight/flight-line.ts'
import type { ProxyConfig } from '../config/proxy-config.ts'
import type { Address } from '../config/address.ts'
import { workloadOf } from './authorize.ts'
import type { MeshViews } from './mesh-view.ts'
import type { RevisionEntry, RevisionHistory } from './revision-history.ts'
import type { DataPlanes } from './threads/data-planes.ts'

/** What a reader has not taken yet; what comes beyond is counted and lost, because the proxy does not wait for readers. */
const MAX_UNREAD_BYTES = 1024 * 1024

/** More than operators and their tools have at a time. */
export const MAX_FOLLOWERS = 8

export interface FlightStreamOptions {
  readonly planes: DataPlanes
  readonly history: RevisionHistory
  readonly views: MeshViews
  readonly config: ProxyConfig
  readonly addresses: Readonly<Record<string, Address>>
  readonly nowMs: () => number
}

/** Who writes and which policy it had when: the lines that every flight log begins with. */
function flightHead({ history, views, config, addresses, nowMs }: FlightStreamOptions): string {
  const id = views.svid?.id
  const proxy: FlightLine = {
    kind: 'proxy',
    atMs: nowMs(),
    ...(id && { spiffeId: id.toString(), workload: workloadOf(id) }),
    trustDomain: config.trustDomain,
    listeners: config.inbound.map(({ name, protocol, listen }) => ({
      name,
      port: addresses[name]?.port ?? listen.port,
      protocol,
    })),
  }
  return encodeFlightLine(proxy) + history.entries.map(policyLine).join('')
}

/** The line that tells of a change of policy. */
export function policyLine({ revision, stateNumber, receivedAtMs }: RevisionEntry): string {
  return encodeFlightLine({
    kind: 'policy',
    atMs: receivedAtMs,
    revision,
    ...(stateNumber !== undefined && { stateNumber }),
  })
}

/** All that is kept of the flight log, as it is now. */
export async function flightLogText(options: FlightStreamOptions): Promise<string> {
  const decisions = await options.planes.decisions()
  return flightHead(options) + decisions.map(encodeFlightLine).join('')
}

/** Writes the flight log, what is kept of it and then all that comes, until the reader goes away. */
export function followFlightLog(response: ServerResponse, options: FlightStreamOptions): void {
  let lost = 0
  const write = (text: string): void => {
    if (response.writableLength + text.length > MAX_UNREAD_BYTES) {
      lost += text.split('\n').length - 1
      return
    }
    if (lost > 0) response.write(encodeFlightLine({ kind: 'lost', count: lost }))
    lost = 0
    response.write(text)
  }
  response.write(flightHead(options))
  response.once('close', options.planes.followers.follow(write))
}
