/** Servers that answer every HTTP request with what they know of its connection, in both matrices. */
import type { TestContext } from 'node:test'
import type { GroupName } from '../../src/crypto/provider.ts'
import type { MeshFiles } from '../cmd/tls-files.ts'
import { freePort, type Program } from '../support/peers.ts'
import { NO_MLKEM, type FeaturePeer, type FeatureService } from './features.ts'
import { testConnect, type PeerView } from './matrix.ts'

/** A program that serves so. Its answers begin with the path that was asked for. */
export interface HttpProgram {
  readonly name: string
  /** Or why there is none here. */
  readonly program: Program | string
  readonly groups: readonly GroupName[]
  readonly start: (t: TestContext, files: MeshFiles, servers: readonly HttpServer[]) => Promise<void>
  /** What comes between path and end of a line of an answer, as the source of a pattern. */
  readonly answer: string
  /** What it said in the last answer of `received`. */
  readonly view: (received: string) => PeerView
}

export interface HttpServer {
  readonly port: number
  readonly groups: readonly GroupName[]
  /** Whether a client without certificate is refused. */
  readonly requiresCertificate: boolean
}

/** The matrix of suites and groups; it is we who choose. */
export function testHttpServer({ name, program, groups, start, answer, view }: HttpProgram): void {
  testConnect({
    name,
    program,
    groups,
    choosesCell: false,
    async prepare(t, files) {
      const port = await freePort()
      await start(t, files, [{ port, groups, requiresCertificate: true }])
      let count = 0
      return () => {
        const url = `/asked-${++count}`
        return Promise.resolve({
          port,
          request: request(url, 'close'),
          answer: new RegExp(`^HTTP/1\\.1 200 OK\r\n[^]*\r\n\r\n${url} ${answer}\n`),
          view: (received) => Promise.resolve(view(received)),
        })
      }
    },
  })
}

/** Its row in the matrix of features. */
export function httpFeatures({ name, program, start, view }: HttpProgram): FeaturePeer {
  return {
    role: 'server',
    name,
    program,
    unsupported: { 'its KeyUpdate': `${name} never renews keys`, X25519MLKEM768: NO_MLKEM },
    async prepare(t, files) {
      const [port, other] = [await freePort(), await freePort()]
      await start(t, files, [
        { port, groups: ['x25519', 'secp256r1'], requiresCertificate: false },
        { port: other, groups: ['secp256r1'], requiresCertificate: false },
      ])
      return (_t, feature) =>
        Promise.resolve({
          port: feature === 'HelloRetryRequest' ? other : port,
          exchanges: EXCHANGES,
          view: (received) => {
            // It says so of what it reads before the handshake is done: of the first request, but not of the second.
            const early = received.includes(' early=1 ') ? { earlyData: 'accepted' as const } : {}
            return Promise.resolve({ ...view(received), ...early })
          },
        })
    },
  }
}

/** Two requests of one connection. */
const EXCHANGES: FeatureService['exchanges'] = [
  { request: request('/one', 'keep-alive'), answer: /^\/one /m },
  { request: request('/two', 'close'), answer: /^\/two .*\n/m },
]

function request(path: string, connection: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: ${connection}\r\n\r\n`
}
