/** Applications that answer with a mark when they read a request as one for what policy denies, each by rules of its own. */
import { mkdir, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { join, posix } from 'node:path'
import type { TestContext } from 'node:test'
import type { Address } from '../../../src/config/address.ts'
import { httpApp } from '../../support/apps.ts'
import { accepting, freePort, PeerProcess, probe, type Program } from '../../support/peers.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

/** As long as a test with all attempts may take on a machine with much else to do. */
const DEADLINE_MS = 240_000

/** What no client may get to see. */
export const MARK = 'THE-ADMIN-PAGE'

/** An application that is here, or why it is not. */
export interface Application {
  readonly name: string
  readonly program: Program | string
  start(t: TestContext): Promise<Address>
}

/** Takes a target for the denied path if any way in which Node's programs read one does. */
const NODE: Application = {
  name: 'node:http',
  program: { path: process.execPath, version: process.version },
  async start(t) {
    const app = await httpApp(t, (incoming, response) => {
      incoming.resume()
      response.end(readings(incoming).some(isDenied) ? MARK : 'public')
    })
    return app.address
  },
}

function readings({ url = '' }: IncomingMessage): string[] {
  const path = url.replace(/[?#].*$/s, '')
  const decoded = attempt(() => decodeURIComponent(path)) ?? path
  return [
    path,
    decoded,
    posix.normalize(decoded),
    attempt(() => new URL(url, 'http://catalog.shop').pathname) ?? '',
    attempt(() => decodeURIComponent(new URL(url, 'http://catalog.shop').pathname)) ?? '',
    // Servlet containers cut parameters off each segment before they resolve dots.
    posix.normalize(decoded.replaceAll(/;[^/]*/g, '')),
    posix.normalize(decoded.replaceAll('\\', '/')),
  ]
}

function isDenied(path: string): boolean {
  return path === '/admin' || path.startsWith('/admin/')
}

function attempt(read: () => string): string | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

const NGINX_PROGRAM = probe('nginx', ['-v'], /nginx\/(\S+)/)

const NGINX: Application = {
  name: 'nginx',
  program: NGINX_PROGRAM,
  async start(t) {
    const directory = await temporaryDirectory(t)
    const port = await freePort()
    const config = join(directory, 'nginx.conf')
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (kind) => `${kind}_temp_path ${directory}/${kind};`,
    )
    await writeFile(
      config,
      `daemon off; master_process off; pid ${directory}/pid; error_log stderr;
events {}
http {
  access_log off; ${temporary.join(' ')}
  server {
    listen 127.0.0.1:${port};
    location = /admin { return 200 ${MARK}; }
    location /admin/ { return 200 ${MARK}; }
    location / { return 200 public; }
  }
}
`,
    )
    const server = new PeerProcess(t, (NGINX_PROGRAM as Program).path, ['-e', 'stderr', '-c', config], {
      deadlineMs: DEADLINE_MS,
    })
    await Promise.race([
      accepting(port),
      server.saw(/emerg/).then(() => Promise.reject(new Error(server.stderr))),
    ])
    return { host: '127.0.0.1', port }
  },
}

const PYTHON_PROGRAM = probe('python3', ['--version'], /Python (3\.\S+)/)

/** Serves a directory in which the denied path is a file. */
const PYTHON: Application = {
  name: 'Python http.server',
  program: PYTHON_PROGRAM,
  async start(t) {
    const directory = await temporaryDirectory(t)
    await writeFile(join(directory, 'admin'), MARK)
    await mkdir(join(directory, 'x'))
    await writeFile(join(directory, 'public'), 'public')
    const port = await freePort()
    const args = ['-m', 'http.server', `${port}`, '--bind', '127.0.0.1', '--directory', directory]
    const server = new PeerProcess(t, (PYTHON_PROGRAM as Program).path, [...args, '--protocol', 'HTTP/1.1'], {
      deadlineMs: DEADLINE_MS,
    })
    await Promise.race([
      accepting(port),
      server.saw(/Error/).then(() => Promise.reject(new Error(server.stderr))),
    ])
    return { host: '127.0.0.1', port }
  },
}

/** All that there are. */
export const APPLICATIONS: readonly Application[] = [NODE, NGINX, PYTHON]
