import { formatAddress, isLoopback, type Address } from '../../config/address.ts'
import { nativeCrypto } from '../../crypto/native-provider.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { nodeTransport } from '../../net/node-transport.ts'
import type { Connection } from '../../net/transport.ts'
import { chooseCredential } from '../../tls/credentials.ts'
import type { CredentialWishes, ServerOptions } from '../../tls/options.ts'
import { ExitCode, type Command, type CommandIo } from '../command.ts'
import { UsageError } from '../errors.ts'
import { parseFlags, parseHostPort, quoted } from '../flags.ts'
import { readEchKeys } from './ech-files.ts'
import { readCredentials, readNegotiation, SHARED_FLAGS, SHARED_USAGE } from './flags.ts'
import { openKeyLog } from './key-log.ts'
import { serveConnection, type ServeSettings } from './serve-connection.ts'
import { readExternalPsk } from './pre-shared-key.ts'
import { readTickets, TICKET_FLAGS, TICKET_USAGE } from './tickets.ts'
import { clientVerifier } from './trust.ts'

const DEFAULT_LISTEN = '127.0.0.1:4433'

/** The only protocol that `--http` speaks, by its ALPN name (RFC 7301 §6). */
const HTTP_ALPN = 'http/1.1'

const COOKIE_KEY_BYTES = 32

/** `handfast tls serve` */
export const tlsServe: Command = {
  summary: 'Serve TLS 1.3 with the engine of the mesh: echo, or HTTP; --explain shows each handshake',
  usage: `Usage: handfast tls serve (--cert FILE --key FILE | --psk-identity ID --psk-file FILE) [FLAGS]

Serves TLS 1.3 with Handfast's own engine and sends back what comes. Each connection's outcome is logged on standard
error. Beyond loopback it only listens with --require-client-cert.

Where
  --listen HOST:PORT   default ${DEFAULT_LISTEN}; port 0 takes any free one
  --once               serve one connection, then exit: 0 when it ended cleanly, 1 otherwise
  --http               answer HTTP/1.1 requests with a text that describes the session, instead of echoing

Whom to be
  --cert FILE          certificate chain in PEM, leaf first
  --key FILE           its private key in PEM, readable by its owner only
                       several pairs may be given: the DNS names of the certificates are matched with the name that the
                       client asks for (SNI); the first pair answers clients that name none
  --ech-key FILE       a key of tls ech-keygen, to read encrypted ClientHellos with; may be given several times

Whom to trust
  --ca FILE            ask clients for a certificate, and verify it against these anchors in PEM
  --require-client-cert  refuse clients that show none (needs --ca)

The handshake
${SHARED_USAGE}
  --retry-cookie       put what a HelloRetryRequest must remember into a cookie that the client brings back

Letting clients come back
${TICKET_USAGE}

What to show
  --explain            each handshake, step by step, on standard error
  --json               each handshake as one line of JSON on standard output, when its connection has ended
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const crypto = nativeCrypto()
    const plan = await readPlan(args, crypto)
    using keyLog = plan.keylog === undefined ? undefined : openKeyLog(plan.keylog, io.stderr)
    const options = { ...plan.options, ...(keyLog === undefined ? {} : { keyLog: keyLog.write }) }
    return serve(plan, { ...plan.settings, options, crypto, io })
  },
}

interface Plan {
  readonly listen: Address
  readonly once: boolean
  readonly keylog: string | undefined
  readonly options: Omit<ServerOptions, 'nowMs' | 'trace'>
  readonly settings: Pick<ServeSettings, 'http' | 'explain' | 'json' | 'keyUpdate'>
}

async function readPlan(args: readonly string[], crypto: CryptoProvider): Promise<Plan> {
  const { values } = parseFlags(args, {
    options: {
      ...SHARED_FLAGS,
      listen: { type: 'string', default: DEFAULT_LISTEN },
      'ech-key': { type: 'string', multiple: true },
      'require-client-cert': { type: 'boolean', default: false },
      once: { type: 'boolean', default: false },
      http: { type: 'boolean', default: false },
      'retry-cookie': { type: 'boolean', default: false },
      ...TICKET_FLAGS,
    },
  })
  const requireClient = values['require-client-cert']
  const listen = parseHostPort('--listen', values.listen)
  if (requireClient && values.ca === undefined)
    throw new UsageError('--ca: expected trust anchors for --require-client-cert, got nothing')
  if (!isLoopback(listen) && !requireClient)
    throw new UsageError(
      `--listen: expected a loopback address, got ${quoted(values.listen)}: beyond loopback anyone could connect; ` +
        'give --require-client-cert and --ca to serve only clients that prove who they are',
    )
  const negotiation = readNegotiation(values, crypto)
  const { alpn } = negotiation
  if (values.http && alpn !== undefined && (alpn.length !== 1 || alpn[0] !== HTTP_ALPN))
    throw new UsageError(`--alpn: expected ${HTTP_ALPN} with --http, got ${quoted(alpn.join(','))}`)
  const credentials = await readCredentials(values, crypto)
  const externalPsk = await readExternalPsk(values)
  if (credentials.length === 0 && externalPsk === undefined)
    throw new UsageError('--cert: expected the certificate of the server, got nothing')
  if (requireClient && externalPsk !== undefined)
    throw new UsageError(
      '--require-client-cert: expected no --psk-file, got one: who has the key shows no certificate',
    )
  const tickets = await readTickets(values, crypto)
  const echKeys = await readEchKeys(values['ech-key'] ?? [], crypto)
  return {
    listen,
    once: values.once,
    keylog: values.keylog,
    options: {
      crypto,
      ...(credentials.length === 0
        ? {}
        : { credential: (wishes: CredentialWishes) => chooseCredential(credentials, wishes) }),
      ...(externalPsk === undefined ? {} : { externalPsks: [externalPsk] }),
      ...(values['retry-cookie'] ? { cookieKey: crypto.random(COOKIE_KEY_BYTES) } : {}),
      ...tickets,
      ...negotiation,
      ...(values.http ? { alpn: [HTTP_ALPN] } : {}),
      ...(echKeys.length === 0 ? {} : { ech: { keys: echKeys } }),
      ...(values.ca === undefined
        ? {}
        : { clientVerifier: await clientVerifier(values.ca, crypto), allowAnonymousClient: !requireClient }),
    },
    settings: {
      http: values.http,
      explain: values.explain === true,
      json: values.json === true,
      keyUpdate: values['key-update'] === true,
    },
  }
}

/** Serves until the signal, or one connection. */
async function serve({ listen, once }: Plan, settings: ServeSettings): Promise<number> {
  const { io } = settings
  const open = new Set<Promise<void>>()
  const stop = new AbortController()
  const over = Promise.withResolvers<number>()
  let count = 0
  const listener = await nodeTransport.listen(
    listen,
    (connection) => {
      if (once && count > 0) {
        connection.abort()
        return
      }
      const served = serveOne(connection, ++count).finally(() => open.delete(served))
      open.add(served)
    },
    { onError: (error) => io.stderr.write(`handfast: ${error.code}: ${error.message}\n`) },
  )
  io.stderr.write(`handfast: Listening on ${formatAddress(listener.address)}\n`)
  const onSignal = (): void => over.resolve(ExitCode.success)
  io.signal.addEventListener('abort', onSignal, { once: true })
  if (io.signal.aborted) onSignal()
  const exitCode = await over.promise
  stop.abort()
  await listener.close()
  await Promise.all(open)
  return exitCode

  async function serveOne(connection: Connection, number: number): Promise<void> {
    const clean = await serveConnection(connection, { ...settings, number, signal: stop.signal })
    if (once) over.resolve(clean ? ExitCode.success : ExitCode.failure)
  }
}
