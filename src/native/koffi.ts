import { createRequire } from 'node:module'
import type koffi from 'koffi'

/**
 * koffi, which calls native functions. A worker thread may use it once the main thread has loaded it too: a library that only
 * a worker has loaded is unmapped with the worker, while libuv still has to call it.
 *
 * @throws Error where there is no binary of it for this platform
 */
export function loadKoffi(): typeof koffi {
  // Not a static import: on a platform for which koffi has no binary, importing it throws.
  return createRequire(import.meta.url)('koffi') as typeof koffi
}
