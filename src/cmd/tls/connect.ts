import type { Address } from '../../config/address.ts'
import { nativeCrypto } from '../../crypto/native-provider.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { renderExplanation } from '../../diagnose/render.ts'
import { HandfastError } from '../../errors.ts'
import { nodeTransport } from '../../net/node-transport.ts'
import { secureClient } from '../../net/secure-connection.ts'
import { TlsError } from '../../tls/errors.ts'
import type { ClientEch, ClientOptions } from '../../tls/options.ts'
import { ExitCode, type Command, type CommandIo } from '../command.ts'
import { UsageError } from '../errors.ts'
import { parseDurationMs, parseFlags, parseHostPort, quoted } from '../flags.ts'
import { terminalOf } from '../terminal.ts'
import { failureText } from './failure-text.ts'
import { readCredentials, readNegotiation, SHARED_FLAGS, SHARED_USAGE } from './flags.ts'
import { openKeyLog, type KeyLog } from './key-log.ts'
import { connectionClock, HandshakeRecorder } from './recorder.ts'
import { converse } from './converse.ts'
import { readEchConfigs } from './ech-files.ts'
import { publicNameVerifier, serverVerifier, sniOf } from './trust.ts'
import { unlessAborted } from './unless-aborted.ts'

const DEFAULT_TIMEOUT = '10s'

/** A refusal of our certificate comes one round trip after we are done: so long an explanation waits for it. */
const LATE_REFUSAL_MS = 250

/** `handfast tls connect` */
export const tlsConnect: Command = {
  summary:
    'Connect to a TLS 1.3 server; stdin to the peer, the peer to stdout; --explain shows the handshake',
  usage: `Usage: handfast tls connect HOST:PORT [FLAGS]

Connects to a TLS 1.3 server with Handfast's own engine. Standard input goes to the peer, what the peer sends goes to
standard output. The end of standard input ends our half (close_notify); the command exits when the peer ends its half.
An IPv6 address goes in brackets. The server is always verified: there is no flag to skip that.

Whom to trust
  --ca FILE            trust anchors in PEM (without it: the public roots that Node.js ships)
  --servername NAME    the name the server must prove, and SNI asks for (without it: HOST)
  --spiffe-id ID       the SPIFFE ID the server must prove, with --ca as the bundle of its trust domain

Whom to be
  --cert FILE          our certificate chain in PEM, leaf first
  --key FILE           its private key in PEM, readable by its owner only

The handshake
${SHARED_USAGE}
  --ech-config C       encrypt the ClientHello (ECH, RFC 9849) to these configs: base64, or a file with them in PEM
  --timeout 10s        for the connection and the handshake, each

What to show
  --explain            the handshake, step by step, on standard error
  --json               the same as one JSON document, when the connection has ended

Exit code: 0 when both sides ended cleanly, 1 for every failure, 2 for misuse.
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const crypto = nativeCrypto()
    const plan = await readPlan(args, crypto)
    using keyLog = plan.keylog === undefined ? undefined : openKeyLog(plan.keylog, io.stderr)
    const reporter = new Reporter(plan.show, { io, crypto })
    try {
      await talk(plan, { io, keyLog, reporter })
      reporter.finish()
      return ExitCode.success
    } catch (thrown) {
      // Called off, not failed.
      io.signal.throwIfAborted()
      if (!(thrown instanceof HandfastError)) throw thrown
      reporter.fail(thrown)
      return ExitCode.failure
    }
  },
}

type Show = 'nothing' | 'text' | 'json'

interface Plan {
  readonly address: Address
  readonly options: Omit<ClientOptions, 'nowMs' | 'keyLog' | 'trace'>
  readonly timeoutMs: number
  readonly keylog: string | undefined
  readonly show: Show
}

async function readPlan(args: readonly string[], crypto: CryptoProvider): Promise<Plan> {
  const { values, positionals } = parseFlags(args, {
    options: {
      ...SHARED_FLAGS,
      servername: { type: 'string' },
      'spiffe-id': { type: 'string' },
      'ech-config': { type: 'string' },
      timeout: { type: 'string', default: DEFAULT_TIMEOUT },
    },
    positionals: ['HOST:PORT'],
  })
  const address = parseHostPort('HOST:PORT', positionals[0]!)
  const { servername: serverName, 'spiffe-id': spiffeId, ca } = values
  if (serverName === '')
    throw new UsageError(`--servername: expected a DNS name or address, got ${quoted('')}`)
  if ((values.cert?.length ?? 0) > 1)
    throw new UsageError(`--cert: expected one for a client, got ${values.cert!.length}`)
  const timeoutMs = parseDurationMs('--timeout', values.timeout)
  const negotiation = readNegotiation(values, crypto)
  const [credential] = await readCredentials(values, crypto)
  const verifier = await serverVerifier({ ca, spiffeId, serverName, address }, crypto)
  const sni = sniOf(serverName, address)
  const echConfig = values['ech-config']
  return {
    address,
    options: {
      crypto,
      verifier,
      ...negotiation,
      ...(sni === undefined ? {} : { serverName: sni }),
      ...(credential === undefined ? {} : { credential }),
      ...(echConfig === undefined ? {} : { ech: await readEch(echConfig, ca, crypto) }),
    },
    timeoutMs,
    keylog: values.keylog,
    show: values.json === true ? 'json' : values.explain === true ? 'text' : 'nothing',
  }
}

/** @throws ConfigError */
async function readEch(value: string, ca: string | undefined, crypto: CryptoProvider): Promise<ClientEch> {
  return { configs: await readEchConfigs(value), publicNameVerifier: await publicNameVerifier(ca, crypto) }
}

interface Talk {
  readonly io: CommandIo
  readonly keyLog: KeyLog | undefined
  readonly reporter: Reporter
}

async function talk(plan: Plan, { io, keyLog, reporter }: Talk): Promise<void> {
  const { address, options, timeoutMs } = plan
  const raw = await nodeTransport.connect(address, { timeoutMs, signal: io.signal })
  const connection = await unlessAborted(
    raw,
    io.signal,
    secureClient(
      raw,
      {
        ...options,
        nowMs: connectionClock(),
        trace: reporter.recorder.record,
        ...(keyLog === undefined ? {} : { keyLog: keyLog.write }),
      },
      { deadlineMs: timeoutMs },
    ),
  )
  reporter.established()
  await converse(connection, io)
}

/** Shows the handshake once: as text soon after it, as JSON at the end; and how it failed. */
class Reporter {
  readonly recorder: HandshakeRecorder = new HandshakeRecorder('client')
  readonly #show: Show
  readonly #io: CommandIo
  readonly #crypto: CryptoProvider
  #timer: NodeJS.Timeout | undefined
  #shown = false

  constructor(show: Show, { io, crypto }: { readonly io: CommandIo; readonly crypto: CryptoProvider }) {
    this.#show = show
    this.#io = io
    this.#crypto = crypto
  }

  /** The handshake is done for us; whoever sits at a terminal wants to see it now. */
  established(): void {
    if (this.#show === 'text') this.#timer = setTimeout(() => this.#explain(), LATE_REFUSAL_MS)
  }

  finish(): void {
    clearTimeout(this.#timer)
    this.#explain()
  }

  fail(error: HandfastError): void {
    this.recorder.end(error)
    if (error instanceof TlsError && error.retryConfigs !== undefined)
      this.#io.stderr.write(`handfast: Try again with --ech-config ${error.retryConfigs.toBase64()}\n`)
    const shownBefore = this.#shown
    this.finish()
    const { failure } = this.recorder.explain()
    const inExplanation = this.#show !== 'nothing' && !shownBefore
    if (failure === undefined || inExplanation) return
    this.#io.stderr.write(failureText(failure, terminalOf(this.#io.stderr, this.#io.env).width))
  }

  #explain(): void {
    if (this.#shown || this.#show === 'nothing') return
    this.#shown = true
    const text =
      this.#show === 'json'
        ? this.recorder.toJsonLine(this.#crypto)
        : renderExplanation(this.recorder.explain(), terminalOf(this.#io.stderr, this.#io.env))
    this.#io.stderr.write(text)
  }
}
