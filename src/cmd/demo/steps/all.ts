import type { Step } from '../step.ts'
import { allowed } from './allowed.ts'
import { anonymous } from './anonymous.ts'
import { deniedIdentity } from './denied-identity.ts'
import { deniedRequest } from './denied-request.ts'
import { explained } from './explained.ts'
import { plaintext } from './plaintext.ts'
import { renewal } from './renewal.ts'

/** What the demo shows, in order; the first handshake of all is made by the first step. */
export const STEPS: readonly Step[] = [
  allowed,
  deniedIdentity,
  deniedRequest,
  plaintext,
  anonymous,
  renewal,
  explained,
]
