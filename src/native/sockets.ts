import type { node } from 'koffi'
import { messageOf } from '../errors.ts'
import { Epoll } from './epoll.ts'
import { loadKoffi } from './koffi.ts'
import { bindSocketFunctions } from './socket-functions.ts'
import type { SocketSystem } from './socket.ts'

/** What {@link loadSockets} found. */
export type SocketsProbe =
  | { readonly kind: 'available'; readonly sockets: NativeSockets }
  | { readonly kind: 'missing'; readonly reason: string }

/** Sockets and epoll of this thread, without Node's wrappers. Made by {@link loadSockets} only. */
export interface NativeSockets {
  readonly system: SocketSystem
  /**
   * Calls `onReadable` from the event loop while `fd` is readable, outside of any of Node's scopes: what it queues (promises,
   * ticks) waits for the next callback, and what it throws is lost.
   */
  readonly poll: (fd: number, onReadable: () => void) => ReadablePoll
}

/** Whoever holds it keeps it alive: the garbage collector stops a poll that nobody refers to. */
export type ReadablePoll = Pick<node.PollHandle, 'ref' | 'unref' | 'close'>

/**
 * Looks for the system's sockets and epoll, once for each thread; says why when they are not to be had: another system than
 * Linux, no koffi for it, or a processor whose structures are not known here.
 */
export function loadSockets(): SocketsProbe {
  probe ??= probeSockets()
  return probe
}

let probe: SocketsProbe | undefined

function probeSockets(): SocketsProbe {
  const { platform, arch } = process
  if (platform !== 'linux' || (arch !== 'x64' && arch !== 'arm64'))
    return { kind: 'missing', reason: `There is no epoll, or not one known here, on ${platform} ${arch}` }
  try {
    const { load, errno, node } = loadKoffi()
    const system = { ...bindSocketFunctions(load(null)), errno }
    const epoll = Epoll.create(system, 1)
    if (typeof epoll === 'number') throw new Error(`epoll_create1 failed with ${epoll}`)
    epoll[Symbol.dispose]()
    return {
      kind: 'available',
      sockets: { system, poll: (fd, onReadable) => node.poll(fd, { readable: true }, onReadable) },
    }
  } catch (error) {
    return { kind: 'missing', reason: messageOf(error) }
  }
}
