import { join } from 'node:path'
import { PeerProcess, probe } from '../../support/peers.ts'
import type { LineProgram } from '../line-peer.ts'
import { OPENSSL_GROUPS } from './openssl.ts'

const SCRIPT = join(import.meta.dirname, '../programs/erlang-peer.escript')

export const ERLANG: LineProgram = {
  name: "Erlang's ssl",
  program: probe('escript', [SCRIPT], /^Erlang\/OTP ((?:2[4-9]|[3-9]\d) \(ssl \S+\))$/m),
  groups: OPENSSL_GROUPS,
  // Tickets are good for the listener that issued them only, so listeners are kept, and two connections at a time to one
  // could be told apart by nobody.
  concurrency: 1,
  start(t, { path }, { files: { ca }, credential: [, cert, , key] }) {
    return new PeerProcess(t, path, [SCRIPT, cert, key, ca], { deadlineMs: 60_000 })
  },
}
