/**
 * One half of the pair to compare with: the least proxy that node:tls can be, with nothing but mutual TLS 1.3 and the check of the peer's
 * SPIFFE ID. `node node-tls-proxy.ts out|in PORT NEXT_PORT CREDENTIALS_DIR PEER_ID`
 */
import { readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream'
import tls, { type PeerCertificate, type SecureContextOptions } from 'node:tls'

const [direction, port, nextPort, directory, peer] = process.argv.slice(2) as [
  'out' | 'in',
  string,
  string,
  string,
  string,
]

/** What Handfast negotiates by default, so that both pairs compute the same. */
const common = {
  minVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256',
  ecdhCurve: 'X25519MLKEM768',
  cert: read('cert.pem'),
  key: read('key.pem'),
  ca: read('ca.pem'),
} satisfies SecureContextOptions
const next = { host: '127.0.0.1', port: Number(nextPort), noDelay: true }

const server =
  direction === 'out'
    ? createServer({ noDelay: true, pauseOnConnect: true }, encrypt)
    : tls.createServer({ ...common, requestCert: true, rejectUnauthorized: true, noDelay: true }, decrypt)
server.on('tlsClientError', () => {})
server.listen({ host: '127.0.0.1', port: Number(port), backlog: 1024 }, () =>
  process.stdout.write(`${JSON.stringify({ message: 'ready' })}\n`),
)
process.once('SIGTERM', () => process.exit(0))

function encrypt(app: Socket): void {
  const secure = tls.connect(
    {
      ...common,
      ...next,
      checkServerIdentity: (_host, certificate) => identityError(certificate),
    },
    () => carry(app, secure),
  )
  secure.once('error', () => app.destroy())
}

function decrypt(secure: tls.TLSSocket): void {
  if (identityError(secure.getPeerCertificate()) !== undefined) {
    secure.destroy()
    return
  }
  const app = connect(next, () => carry(secure, app))
  app.once('error', () => secure.destroy())
}

function carry(one: Socket, other: Socket): void {
  pipeline(one, other, one, () => {})
}

function identityError({ subjectaltname }: PeerCertificate): Error | undefined {
  return subjectaltname?.split(', ').includes(`URI:${peer}`) === true
    ? undefined
    : new Error(`The peer is ${subjectaltname}`)
}

function read(name: string): string {
  return readFileSync(join(directory, name), 'utf8')
}
