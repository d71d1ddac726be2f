import { join } from 'node:path'
import { PeerProcess, probe } from '../../support/peers.ts'
import { NO_MLKEM, type FeaturePeer } from '../features.ts'
import { lineFeatures } from '../line-features.ts'
import { LINE_DEADLINE_MS, type LineProgram } from '../line-peer.ts'
import { OPENSSL_GROUPS } from './openssl.ts'

const SCRIPT = join(import.meta.dirname, '../programs/erlang-peer.escript')

export const ERLANG: LineProgram = {
  name: "Erlang's ssl",
  program: probe('escript', [SCRIPT], /^Erlang\/OTP ((?:2[4-9]|[3-9]\d) \(ssl \S+\))$/m),
  groups: OPENSSL_GROUPS,
  closesFirst: true,
  start(t, { path }, { files: { ca }, credential: [, cert, , key] }) {
    return new PeerProcess(t, path, [SCRIPT, cert, key, ca], { deadlineMs: LINE_DEADLINE_MS })
  },
}

/** Seen in its ClientHellos. */
const MODES =
  'Erlang says which resumptions it speaks only with a ticket, so it is given none (RFC 8446 §4.2.9)'
/** Seen in its crash report: it has no encoding for what it does not know. */
const BINDERS =
  'Erlang checks binders over a ClientHello encoded anew, without GREASE and groups that it does not know'

export const ERLANG_ROWS: readonly FeaturePeer[] = lineFeatures(ERLANG, {
  unsupported: { resumed: MODES, '0-RTT': MODES, X25519MLKEM768: NO_MLKEM },
  unsupportedAsServer: { resumed: BINDERS, '0-RTT': BINDERS, X25519MLKEM768: NO_MLKEM },
})
