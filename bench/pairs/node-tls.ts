import { readFile, writeFile } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { freePort, Program } from '../support/program.ts'
import { writeCredentials } from './credentials.ts'
import { CATALOG, WEB, workloadsOf, type Pair, type PairOptions } from './pair.ts'

const SOURCE = join(import.meta.dirname, 'node-tls-proxy.ts')

/** Starts two proxies made of node:tls, which resume nothing. */
export async function nodeTlsPair({ directory, backendPort, programs }: PairOptions): Promise<Pair> {
  const { web, catalog } = await writeCredentials(join(directory, 'node-tls'))
  // As JavaScript, like Handfast's: to strip types at run time costs memory.
  const script = join(directory, 'node-tls-proxy.mjs')
  await writeFile(script, stripTypeScriptTypes(await readFile(SOURCE, 'utf8')))
  const [entry, gate] = [await freePort(), await freePort()]
  const proxies: Program[] = []
  for (const { direction, own, peer, port, next } of [
    { direction: 'in', own: catalog, peer: WEB, port: gate, next: backendPort },
    { direction: 'out', own: web, peer: CATALOG, port: entry, next: gate },
  ]) {
    const args = [script, direction, String(port), String(next), own, peer]
    const program = programs.use(new Program(`node:tls ${direction}`, [process.execPath, ...args]))
    await program.line(({ message }) => message === 'ready')
    proxies.push(program)
  }
  const workloads = [...workloadsOf(false), ...workloadsOf(true).filter((name) => name !== 'resumed')]
  return { name: 'node:tls', port: entry, proxies, workloads }
}
