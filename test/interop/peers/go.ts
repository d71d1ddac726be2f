import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { PeerProcess, probe } from '../../support/peers.ts'
import type { FeaturePeer } from '../features.ts'
import { lineFeatures } from '../line-features.ts'
import { LINE_DEADLINE_MS, type LineProgram } from '../line-peer.ts'

const SOURCE = join(import.meta.dirname, '../programs/go-peer.go')

export const GO: LineProgram = {
  name: "Go's crypto/tls",
  // X25519MLKEM768 came with 1.24.
  program: probe('go', ['version'], /go version go(1\.(?:2[4-9]|[3-9]\d)\S*)/),
  groups: ['x25519', 'secp256r1', 'secp384r1', 'X25519MLKEM768'],
  start(t, { path }, { files: { ca, directory }, credential: [, cert, , key] }) {
    const peer = join(directory, 'go-peer')
    // A file by itself, and nothing from the network.
    const env = { ...process.env, GO111MODULE: 'off', GOTOOLCHAIN: 'local', GOPROXY: 'off' }
    execFileSync(path, ['build', '-o', peer, SOURCE], { env })
    return new PeerProcess(t, peer, [cert, key, ca], { deadlineMs: LINE_DEADLINE_MS })
  },
}

const EARLY = 'crypto/tls has 0-RTT for QUIC only'
const UPDATE = 'crypto/tls answers KeyUpdates and never begins'

export const GO_ROWS: readonly FeaturePeer[] = lineFeatures(GO, {
  unsupported: { '0-RTT': EARLY, 'its KeyUpdate': UPDATE },
})
