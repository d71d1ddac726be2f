import { request, type IncomingMessage } from 'node:http'
import type { Address } from '../config/address.ts'
import { formatAddress } from '../config/address.ts'
import { messageOf } from '../errors.ts'
import { AdminError } from './errors.ts'

/** Where a proxy answers its operator unless it is told otherwise. */
export const DEFAULT_ADMIN = '127.0.0.1:15000'

/** It is on the same machine, and has everything at hand. */
const ANSWER_TIMEOUT_MS = 10_000

/** The text of a proxy's admin page. @throws AdminError COMMAND_ADMIN_AWAY, COMMAND_ADMIN_REFUSED */
export async function readAdminPage(admin: Address, path: string, signal?: AbortSignal): Promise<string> {
  return textOf(await openAdminPage(admin, path, signal))
}

/** A proxy's admin page as it comes. @throws AdminError COMMAND_ADMIN_AWAY, COMMAND_ADMIN_REFUSED */
export async function openAdminPage(
  admin: Address,
  path: string,
  signal?: AbortSignal,
): Promise<IncomingMessage> {
  const page = await ask(admin, path, signal).catch((error: unknown) => {
    signal?.throwIfAborted()
    throw new AdminError(
      'COMMAND_ADMIN_AWAY',
      `No proxy answers at ${formatAddress(admin)}: ${messageOf(error)}; --admin says where its spec.admin.listen is`,
      { cause: error },
    )
  })
  if (page.statusCode === 200) return page
  throw new AdminError(
    'COMMAND_ADMIN_REFUSED',
    `${formatAddress(admin)}${path} answered with status ${page.statusCode}: ${reasonIn(await textOf(page))}`,
  )
}

function ask({ host, port }: Address, path: string, signal?: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const call = request({ host, port, path, agent: false, ...(signal && { signal }) }, (page) => {
      call.setTimeout(0)
      resolve(page)
    })
    call.setTimeout(ANSWER_TIMEOUT_MS, () => call.destroy(new Error('No answer came in time')))
    call.on('error', reject)
    call.end()
  })
}

async function textOf(page: IncomingMessage): Promise<string> {
  let text = ''
  page.setEncoding('utf8')
  for await (const part of page) text += part as string
  return text
}

/** Refusals are JSON with a reason in it. */
function reasonIn(text: string): string {
  try {
    const { error } = Object(JSON.parse(text)) as { readonly error?: unknown }
    return typeof error === 'string' ? error : text.trim()
  } catch {
    return text.trim()
  }
}
