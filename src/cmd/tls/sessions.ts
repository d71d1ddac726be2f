import { clientTickets } from '../../tls/session/client-tickets.ts'
import type { ClientTicketStore } from '../../tls/session/resumption.ts'
import { openSessionFile, type SessionFileSettings } from './session-file.ts'

/** Where the sessions of `tls connect` come from and go to. */
export interface Sessions {
  /** For the connection that begins, or for one that follows it; undefined when none is to be resumed or kept. */
  storeFor(place: 'first' | 'later'): ClientTicketStore | undefined
}

export interface SessionSources {
  /** The file of `--session-in`. */
  readonly in: string | undefined
  /** The file of `--session-out`. */
  readonly out: string | undefined
  /** Whether later connections resume earlier ones. */
  readonly remember: boolean
}

/** @throws ConfigError */
export function openSessions(sources: SessionSources, settings: SessionFileSettings): Sessions {
  const { in: input, out: output, remember } = sources
  const kept =
    output === undefined
      ? undefined
      : openSessionFile({ path: output, field: '--session-out' }, { create: true }, settings)
  const given =
    input === undefined
      ? undefined
      : openSessionFile({ path: input, field: '--session-in' }, { create: false }, settings)
  const target = kept ?? (remember ? clientTickets() : undefined)
  if (target === undefined && given === undefined) return { storeFor: () => undefined }
  return {
    storeFor: (place) => ({
      put: (ticket) => target?.put(ticket),
      take: (nowMs) => (place === 'later' ? target?.take(nowMs) : undefined) ?? given?.take(nowMs),
    }),
  }
}
