import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { parseAddress } from '../../../config/address.ts'
import { plainAlert, spacedHex } from '../alert-bytes.ts'
import { seenBy } from '../application.ts'
import { RECORD_TIMEOUT_MS, REQUEST_TIMEOUT_MS } from '../limits.ts'
import type { Step } from '../step.ts'
import { until, within } from '../wait.ts'
import { failureText, newRequestsText } from '../words.ts'

const REQUEST = 'GET /items HTTP/1.1\r\nHost: catalog\r\n\r\n'

/** Who does not speak TLS is not spoken to. */
export const plaintext: Step = {
  title: 'a client without TLS: refused',
  did: ({ catalog }) =>
    `TCP to ${catalog.inbound}, where catalog's sidecar listens, and a request in plain HTTP.`,
  proves:
    'There is no way around the handshake. What is not TLS gets seven bytes that say so and the end of the connection.',
  async run({ catalog }, { evidence, signal }) {
    const before = await seenBy(catalog.app, signal)
    const { received, from } = await sendPlaintext(catalog.inbound, signal)
    const alert = plainAlert(received)
    evidence.saw('client got', `${spacedHex(received) || 'nothing'}  =  ${alert ?? 'no alert'}, then the end`)
    evidence.expect(
      alert === 'alert, fatal, unexpected_message',
      'the alert unexpected_message, in the clear, and nothing else',
      alert ?? JSON.stringify(received.toString('latin1')),
    )

    const explained = await until(
      async () => {
        const handshakes = await catalog.admin.handshakes()
        const failed = handshakes.find(({ remote, outcome }) => remote === from && outcome === 'failed')
        return failed && catalog.admin.explained(failed.id)
      },
      { what: `catalog's sidecar to list the handshake with ${from}`, timeoutMs: RECORD_TIMEOUT_MS, signal },
    )
    evidence.saw('operator reads', failureText(explained))
    evidence.saw('and what to do', explained.failure?.remedy ?? 'nothing')
    evidence.expect(explained.failure?.code === 'TLS_NOT_TLS', 'TLS_NOT_TLS', failureText(explained))

    const after = await seenBy(catalog.app, signal)
    evidence.saw('catalog, the app', newRequestsText(before, after))
    evidence.expect(
      after.count === before.count,
      'catalog to have seen no request',
      newRequestsText(before, after),
    )
  },
}

async function sendPlaintext(
  address: string,
  signal: AbortSignal,
): Promise<{ readonly received: Buffer; readonly from: string }> {
  const socket = connect(parseAddress(address)!)
  const limits = { timeoutMs: REQUEST_TIMEOUT_MS, signal }
  try {
    await within(once(socket, 'connect'), { what: `a connection to ${address}`, ...limits })
    // Once it has ended, a socket no longer knows.
    const { address: host, port } = socket.address() as AddressInfo
    socket.write(REQUEST)
    const received = await within(buffer(socket), {
      what: `the end of the connection to ${address}`,
      ...limits,
    })
    return { received, from: `${host}:${port}` }
  } finally {
    socket.destroy()
  }
}
