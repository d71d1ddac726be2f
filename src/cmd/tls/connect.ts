import { nativeCrypto } from '../../crypto/native-provider.ts'
import { HandfastError } from '../../errors.ts'
import type { SecureConnection } from '../../net/engine-connection.ts'
import { nodeTransport } from '../../net/node-transport.ts'
import { secureClient } from '../../net/secure-connection.ts'
import { ExitCode, type Command, type CommandIo } from '../command.ts'
import { collectTickets } from './collect-tickets.ts'
import { readConnectPlan, type ConnectPlan } from './connect-plan.ts'
import { converse } from './converse.ts'
import { SHARED_USAGE } from './flags.ts'
import { openKeyLog, type KeyLog } from './key-log.ts'
import { connectionClock } from './recorder.ts'
import { Reporter } from './reporter.ts'
import { unlessAborted } from './unless-aborted.ts'

const NOTHING = new Uint8Array(0)

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

Coming back
  --session-out FILE   keep the sessions that the server lets us resume, with their secrets, in a file for its owner
  --session-in FILE    resume a session of the file, which is then taken out of it: each is used once
  --early-data FILE    send FILE (- for standard input) with the first flight (0-RTT), where a session allows it;
                       what cannot go then goes after the handshake. Whoever records early data can replay it
  --reconnect N        before the connection that carries data, make N that only fetch sessions, each resuming the last

What to show
  --explain            the handshake, step by step, on standard error
  --json               the same as one JSON document, when the connection has ended

Exit code: 0 when both sides ended cleanly, 1 for every failure, 2 for misuse.
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const crypto = nativeCrypto()
    const plan = await readConnectPlan(args, io, crypto)
    using keyLog = plan.keylog === undefined ? undefined : openKeyLog(plan.keylog, io.stderr)
    for (let number = 0; number <= plan.rehearsals; number++) {
      const reporter = new Reporter(plan.show, { io, crypto })
      try {
        await talk(plan, { io, keyLog, reporter, isFirst: number === 0, isLast: number === plan.rehearsals })
        reporter.finish()
      } catch (thrown) {
        // Called off, not failed.
        io.signal.throwIfAborted()
        if (!(thrown instanceof HandfastError)) throw thrown
        reporter.fail(thrown)
        return ExitCode.failure
      }
    }
    return ExitCode.success
  },
}

interface Talk {
  readonly io: CommandIo
  readonly keyLog: KeyLog | undefined
  readonly reporter: Reporter
  readonly isFirst: boolean
  /** Only the last connection carries data. */
  readonly isLast: boolean
}

async function talk(plan: ConnectPlan, { io, keyLog, reporter, isFirst, isLast }: Talk): Promise<void> {
  const { address, options, timeoutMs, sessions } = plan
  const tickets = sessions.storeFor(isFirst ? 'first' : 'later')
  const earlyData = isLast ? plan.earlyData : undefined
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
        earlyData: earlyData !== undefined,
        ...(tickets === undefined ? {} : { tickets }),
        ...(keyLog === undefined ? {} : { keyLog: keyLog.write }),
      },
      { deadlineMs: timeoutMs, ...(earlyData === undefined ? {} : { earlyData }) },
    ),
  )
  reporter.established()
  if (plan.keyUpdate) connection.updateKeys()
  if (isLast) await converse(connection, io, unsent(connection, earlyData ?? NOTHING))
  else await collectTickets(connection, io.signal)
}

/** What the server has not taken early: where it took nothing, all of it goes again. */
function unsent({ session, earlyBytesSent }: SecureConnection, earlyData: Uint8Array): Uint8Array {
  return session.earlyData === 'accepted' ? earlyData.subarray(earlyBytesSent) : earlyData
}
