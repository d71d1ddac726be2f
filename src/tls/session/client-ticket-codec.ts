import { readAll } from '../../bytes/reader.ts'
import { Writer } from '../../bytes/writer.ts'
import { TlsError } from '../errors.ts'
import { readResumptionState, readTime, writeResumptionState, writeTime } from './resumption-codec.ts'
import type { ClientTicket } from './resumption.ts'

/** The layout below; another one gets another number, so that a file of another version is refused and not misread. */
const LAYOUT = 2

/** A client's ticket as bytes, to keep it beyond the process. They are as secret as the ticket's key. */
export function encodeClientTicket(ticket: ClientTicket): Uint8Array {
  const writer = new Writer(2048).uint8(LAYOUT)
  writer.bytes16(ticket.ticket)
  writeTime(writer, ticket.receivedAtMs)
  writeTime(writer, ticket.expiresAtMs)
  writeResumptionState(writer, ticket)
  return writer.finish()
}

/**
 * Reads what {@link encodeClientTicket} wrote.
 *
 * @throws DecodeError, CertificateError, TlsError TLS_BAD_OPTIONS for a ticket of another version or suite
 */
export function decodeClientTicket(encoded: Uint8Array): ClientTicket {
  return readAll(encoded, 'ticket', (reader) => {
    const layout = reader.uint8('layout')
    if (layout !== LAYOUT)
      throw new TlsError('TLS_BAD_OPTIONS', `The ticket is kept in layout ${layout}, expected ${LAYOUT}`)
    const ticket = reader.bytes16('ticket', { min: 1 }).slice()
    const [receivedAtMs, expiresAtMs] = [readTime(reader), readTime(reader)]
    const state = readResumptionState(reader)
    if (state === undefined)
      throw new TlsError('TLS_BAD_OPTIONS', 'The ticket is of a cipher suite that is not spoken')
    return { ...state, ticket, receivedAtMs, expiresAtMs }
  })
}
