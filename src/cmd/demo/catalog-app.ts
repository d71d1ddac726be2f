/** The application `catalog`: what the shop sells, over plain HTTP. It runs as a process of its own. */
import type { ServerResponse } from 'node:http'
import { answerJson, serveApp } from './app-server.ts'
import { ITEMS } from './shop.ts'

/** Of the response that goes on and on; DELETE ends it. */
const FEED_PATH = '/items/feed'

const FEED_INTERVAL_MS = 100

const items = new Map(ITEMS.map((item) => [item.name, item]))
const feeds = new Set<Feed>()

interface Feed {
  readonly response: ServerResponse
  lines: number
}

serveApp(({ method, url = '/' }, response) => {
  const { pathname } = new URL(url, 'http://catalog')
  if (pathname === '/items' && method === 'GET') answerJson(response, [...items.values()])
  else if (pathname === FEED_PATH && method === 'GET') startFeed(response)
  else if (pathname === FEED_PATH && method === 'DELETE') endFeeds(response)
  else if (pathname.startsWith('/items/'))
    answerItem(response, method ?? '', pathname.slice('/items/'.length))
  else answerJson(response, { error: 'There is no such page' }, 404)
})

function answerItem(response: ServerResponse, method: string, name: string): void {
  const item = items.get(name)
  if (item === undefined) {
    answerJson(response, { error: 'There is no such item' }, 404)
    return
  }
  if (method === 'DELETE') items.delete(name)
  answerJson(response, method === 'DELETE' ? { deleted: item } : item)
}

/** One response that goes on and on: a numbered line at a time. */
function startFeed(response: ServerResponse): void {
  const feed: Feed = { response, lines: 0 }
  feeds.add(feed)
  response.writeHead(200, { 'content-type': 'text/plain' })
  const next = (): void => {
    if (response.writableEnded) return
    feed.lines++
    response.write(`${feed.lines}\n`)
  }
  next()
  const timer = setInterval(next, FEED_INTERVAL_MS)
  response.once('close', () => {
    clearInterval(timer)
    feeds.delete(feed)
  })
}

/** Ends what goes on, in order, and says how much it was. */
function endFeeds(response: ServerResponse): void {
  const ended = [...feeds].map((feed) => {
    feed.response.end()
    return feed.lines
  })
  feeds.clear()
  answerJson(response, { ended })
}
