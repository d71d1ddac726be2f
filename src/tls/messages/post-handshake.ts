/** The messages that may come after the handshake (RFC 8446 §4.6). */
import { readAll } from '../../bytes/reader.ts'
import { TlsError } from '../errors.ts'
import { ExtensionType, HandshakeType } from '../registry.ts'
import { Extensions } from './extensions.ts'
import { encodeMessage } from './handshake-message.ts'

export interface NewSessionTicket {
  readonly lifetimeSeconds: number
  readonly ageAdd: number
  readonly nonce: Uint8Array
  readonly ticket: Uint8Array
  readonly extensions: Extensions<'new_session_ticket'>
}

/** @throws DecodeError, TlsError */
export function decodeNewSessionTicket(body: Uint8Array): NewSessionTicket {
  return readAll(body, 'new_session_ticket', (reader) => ({
    lifetimeSeconds: reader.uint32('ticket_lifetime'),
    ageAdd: reader.uint32('ticket_age_add'),
    nonce: reader.bytes8('ticket_nonce').slice(),
    ticket: reader.bytes16('ticket', { min: 1 }).slice(),
    extensions: Extensions.read(reader, 'new_session_ticket'),
  }))
}

/** The early data that a ticket allows; 0 is none. @throws DecodeError */
export function maxEarlyDataOf(extensions: NewSessionTicket['extensions']): number {
  const contents = extensions.contents(ExtensionType.early_data)
  if (contents === undefined) return 0
  return readAll(contents, 'early_data', (reader) => reader.uint32('max_early_data_size'))
}

export function encodeNewSessionTicket(message: NewSessionTicket): Uint8Array {
  return encodeMessage(HandshakeType.new_session_ticket, (body) => {
    body.uint32(message.lifetimeSeconds).uint32(message.ageAdd)
    body.bytes8(message.nonce)
    body.bytes16(message.ticket)
    message.extensions.write(body)
  })
}

const UPDATE_NOT_REQUESTED = 0
const UPDATE_REQUESTED = 1

/** Whether the sender asks for our keys to change as well. @throws DecodeError; TlsError TLS_ILLEGAL_PARAMETER */
export function decodeKeyUpdate(body: Uint8Array): { readonly updateRequested: boolean } {
  return readAll(body, 'key_update', (reader) => {
    const request = reader.uint8('request_update')
    if (request > UPDATE_REQUESTED)
      throw new TlsError('TLS_ILLEGAL_PARAMETER', `request_update is ${request}, expected 0 or 1`)
    return { updateRequested: request === UPDATE_REQUESTED }
  })
}

export function encodeKeyUpdate({ updateRequested }: { readonly updateRequested: boolean }): Uint8Array {
  return encodeMessage(HandshakeType.key_update, (body) =>
    body.uint8(updateRequested ? UPDATE_REQUESTED : UPDATE_NOT_REQUESTED),
  )
}
