import { HandfastError } from '../errors.ts'

/** Every way in which native code can let us down. */
export const NATIVE_ERROR_CODES = {
  NATIVE_FAILED: 'A native function reported a failure that its inputs do not explain',
} as const

export type NativeErrorCode = keyof typeof NATIVE_ERROR_CODES

/** Native code that did not do what it documents. The environment is to blame. */
export class NativeError extends HandfastError<NativeErrorCode> {}
