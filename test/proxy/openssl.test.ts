/** The tests of the proxy once more, with OpenSSL in the place of our own engine. */
import { DEFAULTS } from '../support/proxy-world.ts'

DEFAULTS.tlsEngine = 'openssl'
await import('./revocation.test.ts')
await import('./tcp.test.ts')
await import('./http/failures.test.ts')
await import('./http/forwarding.test.ts')
await import('./http/policy.test.ts')
await import('./http/renewal.test.ts')
await import('./http/reuse.test.ts')
await import('./http/upgrade.test.ts')
