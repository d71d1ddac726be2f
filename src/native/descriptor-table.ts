import type { NativeSockets } from './sockets.ts'
import { resetDescriptor, type SocketSystem } from './socket.ts'

/** Descriptors that a table has room for: what Linux lets a process have unless it is told otherwise (fs.nr_open). */
const MAX_DESCRIPTORS = 1_048_576

/** A mark for each descriptor that a thread has open, in memory that outlives the thread; what is never marked takes no memory. */
export function createDescriptorTable(): SharedArrayBuffer {
  return new SharedArrayBuffer(MAX_DESCRIPTORS)
}

/**
 * The same sockets for one thread, with every descriptor of theirs marked in `table`. Node closes what it opened itself when a
 * thread ends; of these it knows nothing, and a listening socket without a thread would go on taking connections.
 */
export function trackDescriptors(sockets: NativeSockets, table: SharedArrayBuffer): NativeSockets {
  const { system } = sockets
  const marks = new Uint8Array(table)
  const opened = (fd: number): number => {
    if (fd >= 0 && fd < marks.length) Atomics.store(marks, fd, 1)
    return fd
  }
  return {
    ...sockets,
    system: {
      ...system,
      socket: (family, type, protocol) => opened(system.socket(family, type, protocol)),
      accept4: (fd, address, length, flags) => opened(system.accept4(fd, address, length, flags)),
      epollCreate: (flags) => opened(system.epollCreate(flags)),
      close(fd) {
        // Before it is closed: from then on the number may be another thread's.
        if (fd < marks.length) Atomics.store(marks, fd, 0)
        return system.close(fd)
      },
    },
  }
}

/**
 * Closes what a thread that has ended left open; connections are reset, because nothing says that what they carried is whole.
 *
 * @returns how many there were
 */
export function resetDescriptors(system: SocketSystem, table: SharedArrayBuffer): number {
  const marks = new Uint8Array(table)
  let count = 0
  for (let fd = marks.indexOf(1); fd >= 0; fd = marks.indexOf(1, fd + 1)) {
    marks[fd] = 0
    resetDescriptor(system, fd)
    count++
  }
  return count
}
