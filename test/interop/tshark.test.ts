import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { CATALOG, meshFiles, WEB } from '../cmd/tls-files.ts'
import { PeerProcess, probe, type Program } from '../support/peers.ts'
import { connectTo, serveOnce } from './tools.ts'

const TSHARK = probe('tshark', ['--version'], /TShark \(Wireshark\) ([3-9]\.\d+\.\d+)/)

const SAID = 'nobody else reads this\n'

/** What one packet shows of TLS; a field that comes more than once has its values in order. */
interface Dissected {
  readonly version: string[]
  readonly messages: string[]
  readonly serverName: string[]
  readonly certificates: string[]
  readonly uris: string[]
  readonly data: string[]
}

/** By the names of Wireshark's display filters. */
const FIELDS: Readonly<Record<keyof Dissected, string>> = {
  version: 'tls.handshake.extensions.supported_version',
  messages: 'tls.handshake.type',
  serverName: 'tls.handshake.extensions_server_name',
  certificates: 'tls.handshake.certificate',
  uris: 'x509ce.uniformResourceIdentifier',
  data: 'data.data',
}

const TLS_1_3 = '0x0304'

/** HandshakeType of RFC 8446 §4: what a client sends after its ClientHello, and a server after its ServerHello. */
const CLIENT_FLIGHT = ['11', '15', '20']
const SERVER_FLIGHT = ['8', '13', '11', '15', '20']

test('tls connect and tls serve show a sniffer neither names nor data, unless it has the key log', async (t) => {
  if (typeof TSHARK === 'string') return t.skip(TSHARK)
  const files = await meshFiles(t)
  const [capture, keyLog] = [join(files.directory, 'session.pcapng'), join(files.directory, 'keys.log')]
  const server = await serveOnce(t, files.catalog, ['--ca', files.ca, '--require-client-cert'])
  const sniffer = await startCapture(t, { tshark: TSHARK, port: server.port, capture })
  if (typeof sniffer === 'string') return t.skip(sniffer)

  const args = ['--ca', files.ca, '--servername', 'localhost', '--spiffe-id', CATALOG, ...files.web]
  const client = connectTo(t, server.port, args, '--keylog', keyLog)
  client.end(SAID)
  const { code, stdout, stderr } = await client.ended()
  assert.deepEqual([code, stdout], [0, SAID], stderr)
  assert.equal((await server.process.ended()).code, 0)
  await stopCapture(sniffer, server.port)

  const bytes = await readFile(capture)
  assert.ok(bytes.includes('localhost'), 'The server name is in the clear')
  assert.ok(!bytes.includes('spiffe://') && !bytes.includes(SAID.trim()), 'Something was not encrypted')

  const seen = dissect(TSHARK, { capture, port: server.port })
  assert.ok(of(seen, 'version').includes(TLS_1_3))
  assert.deepEqual(of(seen, 'messages'), ['1', '2'])
  assert.deepEqual(of(seen, 'serverName'), ['localhost'])
  assert.deepEqual([of(seen, 'certificates'), of(seen, 'uris'), of(seen, 'data')], [[], [], []])

  const read = dissect(TSHARK, { capture, port: server.port, keyLog })
  assert.deepEqual(of(read, 'messages'), ['1', '2', ...SERVER_FLIGHT, ...CLIENT_FLIGHT])
  const shown = read.filter(({ certificates }) => certificates.length > 0).map(({ uris }) => uris[0])
  assert.deepEqual(shown, [CATALOG, WEB])
  assert.deepEqual(
    of(read, 'data').map((hex) => Buffer.from(hex, 'hex').toString()),
    [SAID, SAID],
  )
  t.diagnostic(`TShark ${TSHARK.version}: ${shown.join(' and ')}, and the data, with the key log only`)
  return undefined
})

interface CaptureOptions {
  readonly tshark: Program
  readonly port: number
  readonly capture: string
}

/** A running capture, or why there can be none. */
async function startCapture(
  t: TestContext,
  { tshark, port, capture }: CaptureOptions,
): Promise<PeerProcess | string> {
  // Headers of all packets go to standard output too, so that the test sees when the last one is in.
  const sniffer = new PeerProcess(t, tshark.path, [
    ['-i', 'lo', '-f', `tcp port ${port}`, '-w', capture, '-P', '-l', '-n'],
    ['-d', `tcp.port==${port},tls`],
  ])
  try {
    await sniffer.saw(/ File: /, 'stderr')
    return sniffer
  } catch {
    return `tshark may not capture on loopback, which takes root: ${sniffer.stderr.trim().slice(0, 200)}`
  }
}

/** Ends the capture once it has both FINs. */
async function stopCapture(sniffer: PeerProcess, port: number): Promise<void> {
  await sniffer.saw(new RegExp(`${port} → \\d+ \\[FIN`), 'stdout')
  await sniffer.saw(new RegExp(`\\d+ → ${port} \\[FIN`), 'stdout')
  await sniffer.stop('SIGINT')
}

function dissect(
  { path }: Program,
  { capture, port, keyLog }: { readonly capture: string; readonly port: number; readonly keyLog?: string },
): Dissected[] {
  const names = Object.keys(FIELDS) as (keyof Dissected)[]
  const { stdout, stderr, status } = spawnSync(
    path,
    [
      ['-r', capture, '-Y', 'tls', '-d', `tcp.port==${port},tls`, '-T', 'fields', '-E', 'separator=|'],
      names.flatMap((name) => ['-e', FIELDS[name]]),
      keyLog === undefined ? [] : ['-o', `tls.keylog_file:${keyLog}`],
    ].flat(),
    { encoding: 'utf8', timeout: 30_000 },
  )
  assert.equal(status, 0, stderr)
  return stdout.split('\n').flatMap((line) => {
    if (line === '') return []
    const values = line.split('|').map((value) => (value === '' ? [] : value.split(',')))
    return [Object.fromEntries(names.map((name, index) => [name, values[index]])) as unknown as Dissected]
  })
}

/** The values of a field in all packets. */
function of(packets: readonly Dissected[], field: keyof Dissected): string[] {
  return packets.flatMap((packet) => packet[field])
}
