import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { FEATURES, prepareCells, type Feature, type FeaturePeer } from './features.ts'
import { renderMarkdown, renderTable, titleOf, type Outcome, type Row } from './feature-table.ts'
import { CURL_ROWS } from './peers/curl.ts'
import { ERLANG_ROWS } from './peers/erlang.ts'
import { GNUTLS_ROWS } from './peers/gnutls.ts'
import { GO_ROWS } from './peers/go.ts'
import { httpFeatures } from './http-servers.ts'
import { HAPROXY } from './peers/haproxy.ts'
import { JAVA_ROWS } from './peers/java.ts'
import { NGINX } from './peers/nginx.ts'
import { NODE_ROWS } from './peers/node-tls.ts'
import { NSS_ROWS } from './peers/nss-features.ts'
import { OPENSSL_ROWS } from './peers/openssl-features.ts'
import { PYTHON_ROWS } from './peers/python.ts'
import { WOLFSSL_ROWS } from './peers/wolfssl.ts'

const PEERS: readonly FeaturePeer[] = [
  ...OPENSSL_ROWS,
  ...GNUTLS_ROWS,
  ...NSS_ROWS,
  ...GO_ROWS,
  ...JAVA_ROWS,
  ...WOLFSSL_ROWS,
  ...ERLANG_ROWS,
  ...PYTHON_ROWS,
  ...NODE_ROWS,
  ...CURL_ROWS,
  httpFeatures(NGINX),
  httpFeatures(HAPROXY),
]

test('tls serve and tls connect do with every peer what it can do', { concurrency: 2 }, async (t) => {
  const rows: Row[] = []
  await Promise.all(
    PEERS.map((peer) => {
      const { program, unsupported } = peer
      const outcomes = new Map<Feature, Outcome>()
      rows.push({ peer, outcomes })
      const skip = typeof program === 'string' ? program : false
      return t.test(titleOf(peer), { skip }, async (t) => {
        assert.ok(typeof program !== 'string')
        const runCell = await prepareCells(t, peer, program)
        for (const feature of FEATURES) {
          await t.test(feature, { skip: unsupported[feature] ?? false }, async (t) => {
            outcomes.set(feature, 'FAIL')
            await runCell(t, feature)
            outcomes.set(feature, 'pass')
          })
        }
      })
    }),
  )
  for (const line of renderTable(rows)) t.diagnostic(line)
})

test('docs/interop.md shows what each peer can do, and why others cannot', async () => {
  const text = await readFile(join(import.meta.dirname, '../../docs/interop.md'), 'utf8')
  // Without the column of versions.
  const shown = new Set(text.split('\n').map((line) => line.split(' | ').toSpliced(1, 1).join(' | ')))
  const { rows, notes } = renderMarkdown(PEERS)
  for (const [title, ...cells] of rows) {
    const row = `| ${[title, ...cells].join(' | ')} |`
    assert.ok(shown.has(row), `Expected the row ${row}`)
  }
  for (const note of notes) assert.ok(text.includes(`- ${note}\n`), `Expected the note ${note}`)
})
