import type { FeatureService } from './features.ts'

/** Two requests of one connection, for servers that answer with the path that they were asked for. */
export function httpExchanges(): FeatureService['exchanges'] {
  return [
    { request: request('/one', 'keep-alive'), answer: /^\/one /m },
    { request: request('/two', 'close'), answer: /^\/two .*\n/m },
  ]
}

function request(path: string, connection: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: ${connection}\r\n\r\n`
}
