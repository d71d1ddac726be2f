/** NSS's `tstclnt` and `selfserv` in the matrix of features. */
import { setTimeout as delay } from 'node:timers/promises'
import { NO_MLKEM, type FeatureClient, type FeaturePeer, type FeatureServer } from '../features.ts'
import { NSS, nssFlags, nssGroups, selfservService, startSelfserv, tstclnt, tstclntRequests } from './nss.ts'

const UNSUPPORTED = {
  'its KeyUpdate': 'The tools of NSS have no command to renew keys',
  X25519MLKEM768: NO_MLKEM,
} as const

const CLIENT: FeatureClient = {
  role: 'client',
  name: 'NSS tstclnt',
  program: NSS,
  unsupported: UNSUPPORTED,
  http: true,
  async prepare(_t, files) {
    const flags = [...(await nssFlags(files, files.web)), ...(await tstclntRequests(files))]
    return (t, feature, port) => {
      // It keeps no session beyond its end: it resumes the second time that it connects.
      if (feature === 'resumed') return tstclnt(t, port, { flags: [...flags, '-u'], connections: 2 })
      if (feature === '0-RTT') return tstclnt(t, port, { flags: [...flags, '-u', '-Z'], connections: 2 })
      return tstclnt(t, port, { flags, connections: 1 })
    }
  },
}

/**
 * A server that has just started does not know what it was sent before: in its first window it takes no early data.
 * selfserv's window has ten seconds.
 */
const ANTI_REPLAY_WINDOW_MS = 10_000

const SERVER: FeatureServer = {
  role: 'server',
  name: 'NSS selfserv',
  program: NSS,
  unsupported: UNSUPPORTED,
  async prepare(t, files) {
    const flags = [...(await nssFlags(files, files.catalog)), '-r', '-u', '-Z']
    const usual = await startSelfserv(t, [...flags, ...nssGroups(['x25519', 'secp256r1'])])
    const other = await startSelfserv(t, [...flags, ...nssGroups(['secp256r1'])])
    const openAtMs = performance.now() + ANTI_REPLAY_WINDOW_MS
    return async (_t, feature) => {
      if (feature === '0-RTT') await delay(Math.max(0, openAtMs - performance.now()))
      return selfservService(feature === 'HelloRetryRequest' ? other : usual)
    }
  },
}

export const NSS_ROWS: readonly FeaturePeer[] = [CLIENT, SERVER]
