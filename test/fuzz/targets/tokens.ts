import { utf8 } from '../../../src/bytes/bytes.ts'
import { CaError } from '../../../src/ca/errors.ts'
import { addEntry, EMPTY_JOURNAL, encodeHead, encodeLeaf } from '../../../src/ca/journal-line.ts'
import { decodeProof, encodeProof, verifyProof } from '../../../src/ca/journal-proof.ts'
import { JournalReader } from '../../../src/ca/journal-reader.ts'
import { rootOf } from '../../../src/ca/merkle-tree.ts'
import { signTreeHead } from '../../../src/ca/tree-head.ts'
import { CryptoError } from '../../../src/crypto/errors.ts'
import { isJwsAlgorithm, JWS_ALGORITHMS, parseJwks, verifyJws } from '../../../src/crypto/jws.ts'
import { API_VERSION } from '../../../src/config/fields.ts'
import { nativeCrypto } from '../../../src/crypto/native-provider.ts'
import { portableCrypto } from '../../../src/crypto/portable-provider.ts'
import { TokenError } from '../../../src/identity/errors.ts'
import { parseToken } from '../../../src/identity/token.ts'
import { RequestAuthenticator } from '../../../src/proxy/request-authenticator.ts'
import { cookieWithout } from '../../../src/proxy/request-tokens.ts'
import { jwksOf, signToken, tokenSigner, type TokenSigner } from '../../support/tokens.ts'
import { magnitude, outcomeOf, Violation, type FuzzTarget } from '../target.ts'

/** Tokens that callers bring, key sets that are fetched, and what an authority's journal is made of. */
export function tokenTargets(): readonly FuzzTarget[] {
  const signers = JWS_ALGORITHMS.map((algorithm) => tokenSigner(algorithm, algorithm))
  return [tokenTarget(signers), keySetTarget(signers), requestTokensTarget(signers[0]!), ...journalTargets()]
}

type Signers = readonly TokenSigner[]

/** The portable provider's curves are arithmetic in JavaScript. */
const MAX_ARITHMETIC_MS = 300

/** What holds is one of the seeds, in every letter. */
function tokenTarget(signers: Signers): FuzzTarget {
  const crypto = nativeCrypto()
  const keys = parseJwks(jwksOf(...signers), crypto)
  const tokens = signers.map((signer) => signToken(signer, { iss: 'i', sub: 's', aud: ['a'], exp: 1 }))
  return {
    name: 'token',
    seeds: tokens.map(utf8),
    run: (input) =>
      outcomeOf(() => {
        const text = new TextDecoder().decode(input)
        const jws = parseToken(text)
        const holds = keys.some((key) => verifyJws(jws, key))
        if (holds && !tokens.includes(text)) throw new Violation('A token holds that nobody signed')
        return `token: ${isJwsAlgorithm(jws.algorithm) ? jws.algorithm : 'other'} ${holds}`
      }, TokenError),
  }
}

/** Headers and cookies that clients send; a request proves nothing but by a token that was signed. */
function requestTokensTarget(signer: TokenSigner): FuzzTarget {
  const token = signToken(signer, { iss: 'i', sub: 's', exp: 2_000_000_000 })
  const places = { fromHeaders: [{ name: 'authorization', prefix: 'Bearer ' }], fromCookies: ['session'] }
  const rule = { issuer: 'i', algorithms: ['ES256' as const], jwks: jwksOf(signer), ...places }
  const authenticator = new RequestAuthenticator(
    [
      {
        apiVersion: API_VERSION,
        kind: 'RequestAuthentication',
        metadata: { name: 'r', namespace: 'n' },
        spec: { jwtRules: [{ ...rule, forwardOriginalToken: false }] },
      },
    ],
    { keySets: new Map(), crypto: nativeCrypto() },
  )
  return {
    name: 'request-tokens',
    seeds: [`Bearer ${token}`, `a=1; session=${token}; b="2"`, `session="${token}"`].map(utf8),
    run(input) {
      const text = new TextDecoder('latin1').decode(input)
      const request = { headersDistinct: { authorization: [text], cookie: [text] } }
      const proof = authenticator.prove(request, 0)
      if (proof.kind !== 'token') return proof.kind === 'none' ? 'none' : `refused: ${proof.error.code}`
      if (proof.carried.some(({ text: carried }) => carried !== token))
        throw new Violation('A request proves what nobody signed')
      return `token: ${proof.carried.map(({ place }) => place.kind).join(' ')} ${cookieWithout(proof.carried, request)?.split(';').length}`
    },
  }
}

/** What one provider reads, the other reads too. */
function keySetTarget(signers: Signers): FuzzTarget {
  const providers = [nativeCrypto(), portableCrypto()]
  return {
    name: 'key-set',
    maxInputMs: MAX_ARITHMETIC_MS,
    seeds: [utf8(jwksOf(...signers)), ...signers.map((signer) => utf8(jwksOf(signer)))],
    run(input) {
      const text = new TextDecoder().decode(input)
      const [ours, theirs] = providers.map((crypto) =>
        outcomeOf(() => {
          const keys = parseJwks(text, crypto)
          return `keys: ${keys.map(({ key }) => key.kind).join(' ')}`
        }, CryptoError),
      )
      const kind = (outcome: string | undefined) => outcome?.startsWith('keys') === true && outcome
      if (kind(ours) !== kind(theirs)) throw new Violation(`Native says ${ours}, portable ${theirs}`)
      return ours!
    },
  }
}

/** Nothing but the very bytes that were written is intact, but for what a crash leaves of them. */
function journalTargets(): readonly FuzzTarget[] {
  const crypto = nativeCrypto()
  const key = crypto.generateKey('ec-p256')
  let state = EMPTY_JOURNAL
  const lines: string[] = []
  for (const reason of ['one', 'Zürich', '"quoted"']) {
    const leaf = encodeLeaf(state.frontier.size, entryOf(reason))
    const added = addEntry(state, leaf, crypto)
    const { frontier } = added.state
    const head = signTreeHead({ size: frontier.size, root: rootOf(frontier, crypto), timeMs: 1 }, key)
    lines.push(added.line, encodeHead(head))
    state = { ...added.state, head }
  }
  const journal = utf8(`${lines.join('\n')}\n`)
  const proof = encodeProof({
    kind: 'consistency',
    head: state.head!,
    older: { size: 3, root: state.head!.root },
    path: [],
  })
  const options = { crypto, key: key.publicKey }
  return [
    {
      name: 'journal',
      seeds: [journal, journal.slice(0, -20)],
      run(input) {
        const reader = new JournalReader(options)
        const damage = [...reader.push(input)].find((step) => step.kind === 'damaged')
        const end = damage?.kind === 'damaged' ? damage : reader.end()
        if (end.kind === 'damaged') return `damaged: ${end.damage.part} ${end.damage.problem.length}`
        const { offset } = end.signed
        if (Buffer.compare(input.subarray(0, offset), journal.subarray(0, offset)) !== 0)
          throw new Violation('A journal is taken for intact that is not')
        return `intact: ${end.signed.state.frontier.size} ${magnitude(end.tailBytes)}`
      },
    },
    {
      name: 'journal-proof',
      seeds: [utf8(proof)],
      run: (input) =>
        outcomeOf(() => {
          verifyProof(decodeProof(new TextDecoder().decode(input)), options)
          return 'holds'
        }, CaError),
    },
  ]
}

function entryOf(reason: string) {
  return { kind: 'refused', reason }
}
