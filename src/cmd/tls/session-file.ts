/**
 * Sessions in a file, so that a later command can resume them: one block of PEM each, newest last. Whoever reads the
 * file can resume as its owner did, so that it is for its owner alone.
 */
import {
  closeSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { equalBytes } from '../../bytes/bytes.ts'
import { readAll } from '../../bytes/reader.ts'
import { Writer } from '../../bytes/writer.ts'
import { ConfigError } from '../../config/errors.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { messageOf } from '../../errors.ts'
import { decodePem, encodePem } from '../../pki/pem.ts'
import type { Credential } from '../../tls/options.ts'
import { decodeClientTicket, encodeClientTicket } from '../../tls/session/client-ticket-codec.ts'
import type { ClientTicket, ClientTicketStore } from '../../tls/session/resumption.ts'
import { checkPrivate, parseContents, type NamedFile } from '../files.ts'

const LABEL = 'HANDFAST SESSION'

const FILE_MODE = 0o600

/** Some 3 KB each; whoever has more servers to come back to has more files. */
const MAX_SESSIONS = 64

const DIGEST = 'sha256'

/** What a connection that is to be resumed must have been like. */
export interface SessionOwner {
  /** As in SNI. */
  readonly serverName: string | undefined
  /** What was shown to the server: whoever resumes is taken for the same. */
  readonly credential: Credential | undefined
}

export interface KeptSession {
  /** Of the leaf that was shown; empty when none was. */
  readonly shown: Uint8Array
  readonly ticket: ClientTicket
}

export interface SessionFileSettings {
  readonly crypto: Pick<CryptoProvider, 'digest'>
  readonly owner: SessionOwner
  /** Told when the file cannot be written; the connection goes on. */
  readonly warn: (message: string) => void
}

/**
 * Opens a file of sessions, as a store for one server and credential.
 *
 * @param create whether to make it where there is none
 * @throws ConfigError
 */
export function openSessionFile(
  file: NamedFile,
  { create }: { readonly create: boolean },
  { crypto, owner, warn }: SessionFileSettings,
): ClientTicketStore {
  const shown =
    owner.credential === undefined ? new Uint8Array(0) : crypto.digest(DIGEST, owner.credential.chain[0]!.der)
  readSessions(file, create)
  return {
    put(ticket) {
      attempt('keep a session in', () => {
        const sessions = [...readSessions(file, create), { shown, ticket }]
        writeSessions(file, sessions.slice(-MAX_SESSIONS))
      })
    },
    take(nowMs) {
      return attempt('take a session from', () => {
        const sessions = readSessions(file, create).filter(({ ticket }) => ticket.expiresAtMs > nowMs)
        const index = sessions.findLastIndex(
          (session) => session.ticket.serverName === owner.serverName && equalBytes(session.shown, shown),
        )
        if (index === -1) return undefined
        // Before it is used, so that no other command uses it again.
        writeSessions(file, sessions.toSpliced(index, 1))
        return sessions[index]!.ticket
      })
    },
  }

  function attempt<T>(what: string, act: () => T): T | undefined {
    try {
      return act()
    } catch (thrown) {
      warn(`Cannot ${what} ${file.path}: ${messageOf(thrown)}`)
      return undefined
    }
  }
}

/** @throws ConfigError */
function readSessions(file: NamedFile, create: boolean): KeptSession[] {
  const text = readPrivately(file, create)
  // The last session has been used.
  if (text.trim() === '') return []
  return parseContents(file, 'sessions that --session-out wrote', () =>
    decodePem(text, LABEL).map(decodeSession),
  )
}

function readPrivately(file: NamedFile, create: boolean): string {
  let descriptor: number | undefined
  try {
    descriptor = openSync(file.path, create ? 'a+' : 'r', FILE_MODE)
    checkPrivate(file, fstatSync(descriptor).mode)
    return readFileSync(descriptor, 'utf8')
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause
    const missing = (cause as { readonly code?: unknown }).code === 'ENOENT'
    const problem = {
      file: file.path,
      field: file.field,
      expected: 'a file of sessions',
      got: missing ? 'no such file' : messageOf(cause),
    }
    throw new ConfigError(missing ? 'CONFIG_MISSING_FILE' : 'CONFIG_UNREADABLE', [problem], { cause })
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}

/** Replaces the file, so that it is whole at every moment. @throws the file system's error */
function writeSessions({ path }: NamedFile, sessions: readonly KeptSession[]): void {
  const unfinished = `${path}.unfinished`
  // A left-over may have other permissions than ours.
  rmSync(unfinished, { force: true })
  const descriptor = openSync(unfinished, 'wx', FILE_MODE)
  try {
    writeSync(descriptor, sessions.map((session) => encodePem(LABEL, encodeSession(session))).join(''))
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
  renameSync(unfinished, path)
}

function encodeSession({ shown, ticket }: KeptSession): Uint8Array {
  return new Writer(2048).bytes8(shown).bytes24(encodeClientTicket(ticket)).finish()
}

/** One block of the file. @throws DecodeError, CertificateError, TlsError */
export function decodeSession(encoded: Uint8Array): KeptSession {
  return readAll(encoded, 'session', (reader) => ({
    shown: reader.bytes8('shown').slice(),
    ticket: decodeClientTicket(reader.bytes24('ticket')),
  }))
}
