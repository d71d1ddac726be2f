import type { Connection } from '../net/transport.ts'
import { PARTING_MS } from './limits.ts'

/**
 * Ends a connection without having used it: our half in order, what still comes thrown away, and after a moment all
 * of it. For connections that nobody has attached to.
 */
export function part(connection: Connection): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => connection.abort(), PARTING_MS)
    connection.attach({
      data() {},
      end() {},
      drain() {},
      closed() {
        clearTimeout(timer)
        resolve()
      },
    })
    connection.end()
  })
}
