import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TestContext } from 'node:test'
import { httpApp, type TestApp } from './apps.ts'
import { worldOf, type World, type WorldOptions } from './proxy-world.ts'

/** Reads a whole body, then answers with what it saw. */
export function mirror(incoming: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = []
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
  incoming.on('end', () => {
    const body = Buffer.concat(chunks).toString()
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify({ method: incoming.method, url: incoming.url, headers: incoming.headers, body }),
    )
  })
}

/** What {@link mirror} answers. */
export interface Mirrored {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string>
  readonly body: string
}

/** A world whose application is a {@link mirror}. */
export async function mirrored(
  t: TestContext,
  options: Partial<WorldOptions> = {},
): Promise<{ world: World; app: TestApp }> {
  const app = await httpApp(t, mirror)
  return { app, world: await worldOf(t, { protocol: 'http', app: app.address, ...options }) }
}
