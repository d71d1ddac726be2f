import { HandfastError } from '../errors.ts'

/** Every way in which bytes can fail to be what a format demands. */
export const BYTES_ERROR_CODES = {
  BYTES_TRUNCATED: 'The input ended before the field it announces',
  BYTES_TRAILING: 'Bytes were left after the last field',
  BYTES_LENGTH: 'A length prefix lies outside the bounds of its field',
} as const

export type BytesErrorCode = keyof typeof BYTES_ERROR_CODES

/** Input that is not in the format that was expected. The sender of the bytes is to blame. */
export class DecodeError extends HandfastError<BytesErrorCode> {}
