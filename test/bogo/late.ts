import type { Eventually } from '../../src/tls/eventually.ts'

/** What `answer` yields: at once, or, with -async, in a later turn of the event loop, as from somebody elsewhere. */
export function late<Value>(isAsync: boolean, answer: () => Value): Eventually<Value> {
  if (!isAsync) return answer()
  const { promise, resolve, reject } = Promise.withResolvers<Value>()
  setImmediate(() => {
    try {
      resolve(answer())
    } catch (thrown) {
      reject(thrown)
    }
  })
  return promise
}
