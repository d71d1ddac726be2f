/** What `tls connect` is asked to do. */
import { buffer } from 'node:stream/consumers'
import { addAbortSignal } from 'node:stream'
import type { Address } from '../../config/address.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import type { ClientEch, ClientOptions } from '../../tls/options.ts'
import type { CommandIo } from '../command.ts'
import { UsageError } from '../errors.ts'
import { readOperatorBytes } from '../files.ts'
import { parseCount, parseDurationMs, parseFlags, parseHostPort, quoted } from '../flags.ts'
import { readEchConfigs } from './ech-files.ts'
import { readCredentials, readNegotiation, SHARED_FLAGS } from './flags.ts'
import { readExternalPsk } from './pre-shared-key.ts'
import type { Show } from './reporter.ts'
import { publicNameVerifier, serverVerifier, sniOf } from './trust.ts'
import { openSessions, type Sessions } from './sessions.ts'

const DEFAULT_TIMEOUT = '10s'

/** Enough to see that each ticket is used once. */
const MAX_RECONNECTS = 100

export interface ConnectPlan {
  readonly address: Address
  readonly options: Omit<ClientOptions, 'nowMs' | 'keyLog' | 'trace' | 'tickets' | 'earlyData'>
  readonly timeoutMs: number
  readonly sessions: Sessions
  /** Connections that come before the one that carries data. */
  readonly rehearsals: number
  /** What to send with the first flight of the last connection; after its handshake where that cannot be. */
  readonly earlyData: Uint8Array | undefined
  readonly keyUpdate: boolean
  readonly keylog: string | undefined
  readonly show: Show
}

/** @throws UsageError, ConfigError */
export async function readConnectPlan(
  args: readonly string[],
  io: CommandIo,
  crypto: CryptoProvider,
): Promise<ConnectPlan> {
  const { values, positionals } = parseFlags(args, {
    options: {
      ...SHARED_FLAGS,
      servername: { type: 'string' },
      'spiffe-id': { type: 'string' },
      'ech-config': { type: 'string' },
      'session-in': { type: 'string' },
      'session-out': { type: 'string' },
      'early-data': { type: 'string' },
      reconnect: { type: 'string', default: '0' },
      timeout: { type: 'string', default: DEFAULT_TIMEOUT },
    },
    positionals: ['HOST:PORT'],
  })
  const address = parseHostPort('HOST:PORT', positionals[0]!)
  const { servername: serverName, 'spiffe-id': spiffeId, ca, 'session-in': sessionIn } = values
  if (serverName === '')
    throw new UsageError(`--servername: expected a DNS name or address, got ${quoted('')}`)
  if ((values.cert?.length ?? 0) > 1)
    throw new UsageError(`--cert: expected one for a client, got ${values.cert!.length}`)
  const timeoutMs = parseDurationMs('--timeout', values.timeout)
  const rehearsals = parseCount('--reconnect', values.reconnect, MAX_RECONNECTS)
  const earlyPath = values['early-data']
  if (earlyPath !== undefined && sessionIn === undefined && rehearsals === 0)
    throw new UsageError('--session-in: expected a file with a session for --early-data, got nothing')
  const negotiation = readNegotiation(values, crypto)
  const [credential] = await readCredentials(values, crypto)
  const externalPsk = await readExternalPsk(values)
  const verifier = await serverVerifier({ ca, spiffeId, serverName, address }, crypto)
  const sni = sniOf(serverName, address)
  const echConfig = values['ech-config']
  const sessions = openSessions(
    { in: sessionIn, out: values['session-out'], remember: rehearsals > 0 },
    {
      crypto,
      owner: { serverName: sni, credential },
      warn: (message) => io.stderr.write(`handfast: Warning: ${message}\n`),
    },
  )
  return {
    address,
    options: {
      crypto,
      verifier,
      ...negotiation,
      ...(sni === undefined ? {} : { serverName: sni }),
      ...(credential === undefined ? {} : { credential }),
      ...(externalPsk === undefined ? {} : { externalPsks: [externalPsk] }),
      ...(echConfig === undefined ? {} : { ech: await readEch(echConfig, ca, crypto) }),
    },
    timeoutMs,
    sessions,
    rehearsals,
    earlyData: earlyPath === undefined ? undefined : await readEarlyData(earlyPath, io),
    keyUpdate: values['key-update'] === true,
    keylog: values.keylog,
    show: values.json === true ? 'json' : values.explain === true ? 'text' : 'nothing',
  }
}

/** The whole of a file, or of standard input: it must be at hand when the first flight leaves. @throws ConfigError */
async function readEarlyData(path: string, { stdin, signal }: CommandIo): Promise<Uint8Array> {
  return path === '-'
    ? buffer(addAbortSignal(signal, stdin))
    : readOperatorBytes({ path, field: '--early-data' })
}

/** @throws ConfigError */
async function readEch(value: string, ca: string | undefined, crypto: CryptoProvider): Promise<ClientEch> {
  return { configs: await readEchConfigs(value), publicNameVerifier: await publicNameVerifier(ca, crypto) }
}
