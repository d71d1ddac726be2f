/** The application `web`: the shop's page, made of what catalog says. It runs as a process of its own. */
import type { ServerResponse } from 'node:http'
import { serveApp } from './app-server.ts'
import { callHttp } from './call-http.ts'
import type { Item } from './shop.ts'

/** Where its sidecar listens for what is meant for catalog; to this program it is catalog. */
const CATALOG = process.env['CATALOG_ADDRESS'] ?? ''

const CATALOG_TIMEOUT_MS = 5_000

serveApp(({ method, url }, response) => {
  if (url === '/' && method === 'GET') void showShop(response)
  else answerPage(response, 404, 'There is no such page')
})

async function showShop(response: ServerResponse): Promise<void> {
  try {
    const { status, headers, text } = await callHttp(`http://${CATALOG}/items`, {
      timeoutMs: CATALOG_TIMEOUT_MS,
    })
    if (status !== 200) {
      const decision = headers['x-handfast-decision']
      const id = decision === undefined ? '' : `, decision ${String(decision)}`
      answerPage(response, 502, `The catalog answered ${status}${id}`)
      return
    }
    const items = JSON.parse(text) as readonly Item[]
    answerPage(
      response,
      200,
      items.map(({ name, price }) => `<li>${escapeHtml(name)}, ${escapeHtml(price)}</li>`).join('\n'),
    )
  } catch (error) {
    process.stderr.write(`The catalog cannot be reached: ${String(error)}\n`)
    answerPage(response, 502, 'The catalog cannot be reached')
  }
}

function answerPage(response: ServerResponse, status: number, content: string): void {
  const text = `<!doctype html>\n<title>A tiny shop</title>\n<h1>A tiny shop</h1>\n${content}\n`
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'content-length': Buffer.byteLength(text),
  })
  response.end(text)
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
