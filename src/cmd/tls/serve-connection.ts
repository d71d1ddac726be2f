import { formatAddress } from '../../config/address.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { identityText } from '../../diagnose/identity-text.ts'
import { printable } from '../../diagnose/printable.ts'
import { renderExplanation } from '../../diagnose/render.ts'
import { HandfastError } from '../../errors.ts'
import type { SecureConnection } from '../../net/engine-connection.ts'
import { secureServer } from '../../net/secure-connection.ts'
import type { Connection } from '../../net/transport.ts'
import type { ServerOptions } from '../../tls/options.ts'
import type { Session } from '../../tls/session.ts'
import type { CommandIo } from '../command.ts'
import { terminalOf } from '../terminal.ts'
import { answerHttp } from './answer-http.ts'
import { echo } from './echo.ts'
import { failureText } from './failure-text.ts'
import { connectionClock, HandshakeRecorder } from './recorder.ts'
import { unlessAborted } from './unless-aborted.ts'

/** A client that has not finished by then is cut off; humans who type a handshake by hand are rare. */
const HANDSHAKE_DEADLINE_MS = 10_000

export interface ServeSettings {
  readonly options: Omit<ServerOptions, 'nowMs' | 'trace'>
  readonly crypto: CryptoProvider
  readonly io: CommandIo
  readonly http: boolean
  readonly explain: boolean
  readonly json: boolean
  /** Whether to renew the keys after each handshake. */
  readonly keyUpdate: boolean
}

interface ServedConnection extends ServeSettings {
  /** From 1, for the log. */
  readonly number: number
  /** Ends the connection. */
  readonly signal: AbortSignal
}

/**
 * Serves one connection and logs its outcome.
 *
 * @returns whether it ended cleanly
 */
export async function serveConnection(raw: Connection, served: ServedConnection): Promise<boolean> {
  const { options, io, number, http, signal } = served
  const recorder = new HandshakeRecorder('server')
  const log = (text: string): void => {
    io.stderr.write(`handfast: Connection ${number} from ${formatAddress(raw.remote)}: ${text}\n`)
  }
  let explained = false
  try {
    const connection = await unlessAborted(
      raw,
      signal,
      secureServer(
        raw,
        { ...options, nowMs: connectionClock(), trace: recorder.record },
        { deadlineMs: HANDSHAKE_DEADLINE_MS },
      ),
    )
    log(sessionText(connection))
    if (served.keyUpdate) connection.updateKeys()
    explain()
    const outcome = [await use(connection, { http, signal }), recorder.keyUpdateText()]
    log(outcome.filter((part) => part !== undefined).join('; '))
    return true
  } catch (thrown) {
    if (!(thrown instanceof HandfastError)) throw thrown
    recorder.end(thrown)
    explain()
    const { failure, outcome } = recorder.explain()
    log(outcome === 'broken' ? 'broken' : 'refused')
    if (failure !== undefined) io.stderr.write(failureText(failure, terminalOf(io.stderr, io.env).width))
    return false
  } finally {
    if (served.json) io.stdout.write(recorder.toJsonLine(served.crypto))
  }

  function explain(): void {
    if (!served.explain || explained) return
    explained = true
    io.stderr.write(renderExplanation(recorder.explain(), terminalOf(io.stderr, io.env)))
  }
}

async function use(
  connection: SecureConnection,
  { http, signal }: { readonly http: boolean; readonly signal: AbortSignal },
): Promise<string> {
  if (http) return `closed; HTTP requests answered: ${await answerHttp(connection, signal)}`
  return `closed; bytes echoed: ${await echo(connection, signal)}`
}

/** A session in one line. */
function sessionText({ session, earlyData }: SecureConnection): string {
  const { version, cipherSuite, group, alpn, serverName, resumed } = session
  return [
    version,
    cipherSuite,
    group,
    ...(resumed ? ['resumed'] : []),
    ...(alpn === undefined ? [] : [`ALPN ${printable(alpn)}`]),
    ...(serverName === undefined ? [] : [`server name ${printable(serverName)}`]),
    clientText(session),
    ...(earlyData.length === 0 ? [] : [`${earlyData.length} bytes of early data`]),
  ].join(', ')
}

function clientText({ peer, externalPsk }: Session): string {
  if (externalPsk !== undefined) return `client with the pre-shared key ${identityText(externalPsk)}`
  return peer === undefined ? 'client without certificate' : `client ${printable(peer.name)}`
}
