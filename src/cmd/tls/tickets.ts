/** How `tls serve` lets clients resume. */
import type { CryptoProvider } from '../../crypto/provider.ts'
import { TlsError } from '../../tls/errors.ts'
import type { ServerOptions } from '../../tls/options.ts'
import { MAX_EARLY_DATA_BYTES } from '../../tls/session/early-data.ts'
import { MAX_TICKET_LIFETIME_SECONDS, type ServerTicketStore } from '../../tls/session/resumption.ts'
import { sealedTickets, type TicketKey, type TicketKeys } from '../../tls/session/sealed-tickets.ts'
import { statefulTickets } from '../../tls/session/stateful-tickets.ts'
import { UsageError } from '../errors.ts'
import { parseContents, readSecretFile } from '../files.ts'
import { parseCount, parseDurationMs, quoted } from '../flags.ts'

/** For `parseFlags`. */
export const TICKET_FLAGS = {
  tickets: { type: 'string' },
  'no-tickets': { type: 'boolean' },
  'ticket-lifetime': { type: 'string' },
  'ticket-key': { type: 'string' },
  'early-data': { type: 'string' },
} as const

/** Help for them. */
export const TICKET_USAGE: string = `  --tickets N          session tickets after each full handshake; default 2. A resumed connection gets one
  --no-tickets         every handshake is a full one
  --ticket-lifetime 1h how long a ticket is good for, at most seven days and never longer than the client's certificate
  --ticket-key FILE    seal tickets under this key, which other servers may share, instead of remembering them: 48 bytes
                       in hexadecimal (openssl rand -hex 48); a second line is the key before it. Such tickets can be
                       used again, and carry no early data
  --early-data BYTES   take up to so many bytes with a client's first flight (0-RTT); whoever records them can replay
                       them to another server, though not to this one; at most ${MAX_EARLY_DATA_BYTES}`

interface TicketFlags {
  readonly tickets?: string
  readonly 'no-tickets'?: boolean
  readonly 'ticket-lifetime'?: string
  readonly 'ticket-key'?: string
  readonly 'early-data'?: string
}

/** A client that opens ten connections at once has use for as many. */
const MAX_COUNT = 16

const KEY_NAME_BYTES = 16
const KEY_BYTES = 48

/** @throws UsageError, ConfigError */
export async function readTickets(
  flags: TicketFlags,
  crypto: CryptoProvider,
): Promise<Pick<ServerOptions, 'tickets' | 'earlyData'>> {
  const early = flags['early-data']
  const maxBytes = early === undefined ? 0 : parseCount('--early-data', early, MAX_EARLY_DATA_BYTES)
  const earlyData = maxBytes === 0 ? {} : { earlyData: { maxBytes } }
  const keyPath = flags['ticket-key']
  if (flags['no-tickets'] === true) {
    const stray = (['tickets', 'ticket-lifetime', 'ticket-key', 'early-data'] as const).find(
      (name) => flags[name] !== undefined,
    )
    if (stray === undefined) return {}
    throw new UsageError(`--${stray}: expected nothing with --no-tickets, got ${quoted(flags[stray]!)}`)
  }
  if (keyPath !== undefined && maxBytes > 0)
    throw new UsageError(
      '--early-data: expected no --ticket-key, got one: tickets that are not remembered can be used again, and ' +
        'nothing would stop a replay',
    )
  const count = flags.tickets
  const lifetime = flags['ticket-lifetime']
  return {
    tickets: {
      store: await readStore(keyPath, crypto),
      ...(count === undefined ? {} : { count: parseCount('--tickets', count, MAX_COUNT) }),
      ...(lifetime === undefined ? {} : { lifetimeSeconds: parseLifetime(lifetime) }),
    },
    ...earlyData,
  }
}

function parseLifetime(text: string): number {
  const seconds = Math.floor(parseDurationMs('--ticket-lifetime', text) / 1000)
  if (seconds >= 1 && seconds <= MAX_TICKET_LIFETIME_SECONDS) return seconds
  throw new UsageError(`--ticket-lifetime: expected 1s to 7d, got ${quoted(text)}`)
}

async function readStore(path: string | undefined, crypto: CryptoProvider): Promise<ServerTicketStore> {
  if (path === undefined) return statefulTickets(crypto)
  const file = { path, field: '--ticket-key' }
  const text = await readSecretFile(file)
  const keys = parseContents(file, `one or two lines of ${KEY_BYTES} bytes in hexadecimal`, () =>
    keysOf(text),
  )
  return sealedTickets(crypto, () => keys)
}

/** The message does not repeat what may be a secret. */
function keysOf(text: string): TicketKeys {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '')
  const [current, previous, ...more] = lines.map((line) => keyOf(line.trim()))
  if (current === undefined || more.length > 0)
    throw new TlsError('TLS_BAD_OPTIONS', `It has ${lines.length} lines`)
  return { current, ...(previous === undefined ? {} : { previous }) }
}

function keyOf(hex: string): TicketKey {
  if (!/^[0-9a-f]+$/i.test(hex) || hex.length !== 2 * KEY_BYTES)
    throw new TlsError('TLS_BAD_OPTIONS', `A line of ${hex.length} characters is no such key`)
  const bytes = Uint8Array.fromHex(hex)
  return { name: bytes.subarray(0, KEY_NAME_BYTES), secret: bytes.subarray(KEY_NAME_BYTES) }
}
