import { TokenError } from '../identity/errors.ts'
import { CaError } from './errors.ts'

/** What `act` gives; what it says against a token is said by the authority. @throws CaError CA_TOKEN_… */
export function refusingTokens<T>(act: () => T): T {
  try {
    return act()
  } catch (error) {
    if (!(error instanceof TokenError)) throw error
    // The keys are had before a signature is checked, and callers bring one token.
    if (error.code === 'TOKEN_KEYS_MISSING' || error.code === 'TOKEN_AMBIGUOUS') throw error
    throw new CaError(`CA_${error.code}`, error.message, { cause: error })
  }
}
