import type { ClientHelloDetails } from '../tls/trace.ts'
import type { Fact, MessageStep, ObserverView } from './explanation.ts'
import type { Findings } from './findings.ts'
import { identityText } from './identity-text.ts'
import { printable } from './printable.ts'
import type { PlacedStep } from './steps.ts'
import { millisecondsText } from './time-text.ts'

/** What someone who reads the wire, and holds no keys, learns of a handshake and what stays hidden from them. */
export function observe(found: Findings, steps: readonly PlacedStep[]): ObserverView {
  const messages = steps.map(({ step }) => step).filter((step) => step.kind === 'message')
  const readable = messages.filter((message) => message.protection === 'plaintext')
  const sealed = messages.filter((message) => message.protection !== 'plaintext')
  return { saw: visible(found, readable, sealed), hidden: hidden(found, sealed) }
}

function visible(found: Findings, readable: readonly MessageStep[], sealed: readonly MessageStep[]): Fact[] {
  const facts: Fact[] = [
    { label: 'who and when', value: 'addresses and ports of both ends, time and size of every packet' },
  ]
  if (readable.length > 0) facts.push({ label: 'in the clear', value: readable.map(({ name }) => name) })
  const { clientHello } = found
  const serverHello = found.serverHello ?? found.retry
  if (clientHello !== undefined) {
    const { serverName, alpn } = clientHello
    facts.push({
      label: 'server name',
      value: shownName(found, serverName),
    })
    if (alpn !== undefined) facts.push({ label: 'ALPN offered', value: alpn.map(printable) })
    facts.push(...offeredKeys(found, clientHello))
  }
  if (serverHello !== undefined) {
    const group = serverHello.keyShare === undefined ? [] : [serverHello.keyShare.group]
    facts.push({
      label: 'chosen',
      value: [serverHello.version, serverHello.cipherSuite, ...group].map(printable),
    })
  }
  if (sealed.length > 0) {
    const bytes = sealed.reduce((sum, message) => sum + message.bytes, 0)
    const first = millisecondsText(sealed[0]!.afterMs)
    facts.push({
      label: 'sealed records',
      value: `about ${bytes} bytes of handshake from ${first} on, content unknown`,
    })
  }
  return facts
}

/** What a ClientHello shows of what it goes on from. A ticket is opaque and used once; a key's identity is neither. */
function offeredKeys(found: Findings, hello: ClientHelloDetails): Fact[] {
  const { ech, serverHello, agreed, announcesEarlyData } = found
  if (hello.offeredPsks === undefined) return []
  const facts: Fact[] = []
  // What an encrypted ClientHello shows outside is made up.
  if (ech !== 'offered' && ech !== 'accepted') {
    const taken =
      serverHello?.selectedPsk === undefined ? 'and the server takes none' : 'and the server takes one'
    facts.push({
      label: 'comes back',
      value: `the client offers ${hello.offeredPsks === 1 ? 'a pre-shared key' : `${hello.offeredPsks} pre-shared keys`}, ${taken}`,
    })
    if (agreed?.externalPsk !== undefined && !agreed.resumed)
      facts.push({ label: 'key', value: `its identity ${identityText(agreed.externalPsk)}` })
  }
  if (announcesEarlyData) facts.push({ label: 'early data', value: 'that there is some, and how much' })
  return facts
}

function shownName({ ech, innerHello }: Findings, serverName: string | undefined): string {
  if (serverName === undefined) return 'none: the client sent no SNI'
  const isPublic = innerHello !== undefined || ech === 'offered'
  return isPublic ? `${printable(serverName)}, the public name, and no other` : printable(serverName)
}

function hidden(found: Findings, sealed: readonly MessageStep[]): Fact[] {
  const facts: Fact[] = []
  if (found.handshakeKeys)
    facts.push({ label: 'secrets', value: 'both halves of the key agreement stayed where they were made' })
  const asked = found.innerHello?.serverName
  if (asked !== undefined) facts.push({ label: 'server name', value: `${printable(asked)}, encrypted (ECH)` })
  const shown = (['client', 'server'] as const).filter((side) =>
    sealed.some(({ from, certificates }) => from === side && certificates.length > 0),
  )
  if (shown.length > 0)
    facts.push({ label: 'identities', value: shown.map((side) => `the certificate of the ${side}`) })
  if (found.encryptedExtensions?.alpn !== undefined)
    facts.push({ label: 'ALPN chosen', value: printable(found.encryptedExtensions.alpn) })
  if (sealed.length > 0) facts.push({ label: 'proofs', value: [...new Set(sealed.map(({ name }) => name))] })
  if (found.established !== undefined) facts.push({ label: 'data', value: 'every byte of the applications' })
  return facts
}
