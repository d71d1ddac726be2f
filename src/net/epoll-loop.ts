import { Epoll } from '../native/epoll.ts'
import { systemError } from '../native/socket.ts'
import type { NativeSockets, ReadablePoll } from '../native/sockets.ts'

/** What one turn handles; the rest waits for the next, so that timers and other work get their share. */
const EVENTS_PER_TURN = 256

/** What one connection may deliver in a turn: eight whole records of TLS, and the next connection's wait stays short. */
const RECEIVE_BYTES = 128 * 1024

/** Views of the receive buffer that are kept, by their length: conversations repeat their lengths. */
const KEPT_VIEWS = 256

/** Whoever is told what happens to a descriptor. */
export interface Watcher {
  /** @param readiness bits of `Readiness`; more may be set than was asked for */
  ready(readiness: number): void
}

/**
 * The descriptors that this thread watches by epoll, from within Node's own event loop: libuv watches the epoll descriptor
 * (docs/decisions/0011-epoll-inside-the-event-loop.md).
 */
export class EpollLoop implements Disposable {
  readonly #sockets: NativeSockets
  readonly #epoll: Epoll
  readonly #watchers: (Watcher | undefined)[] = []
  /** By descriptor: tells an event of this watcher from one of an earlier user of the same number. */
  readonly #tags: number[] = []
  readonly #views: Uint8Array[] = []
  readonly #poll: ReadablePoll
  #lastTag = 0
  #watched = 0
  #isScheduled = false
  #isDisposed = false

  /** Where every connection of this thread receives. */
  readonly buffer: Uint8Array = new Uint8Array(RECEIVE_BYTES)

  /** @throws Error when there is no descriptor for it */
  constructor(sockets: NativeSockets) {
    const epoll = Epoll.create(sockets.system, EVENTS_PER_TURN)
    if (typeof epoll === 'number') throw systemError('epoll_create1', epoll)
    this.#sockets = sockets
    this.#epoll = epoll
    this.#poll = sockets.poll(epoll.fd, this.#schedule)
    this.#poll.unref()
  }

  get system(): NativeSockets['system'] {
    return this.#sockets.system
  }

  /** Begins to watch. @returns 0, or a negative errno */
  add(fd: number, watcher: Watcher, readiness: number): number {
    const tag = (this.#lastTag + 1) | 0
    const result = this.#epoll.add(fd, readiness, tag)
    if (result < 0) return result
    this.#lastTag = tag
    this.#tags[fd] = tag
    this.#watchers[fd] = watcher
    if (this.#watched++ === 0) this.#poll.ref()
    return 0
  }

  /** Watches for something else. @returns 0, or a negative errno */
  change(fd: number, readiness: number): number {
    return this.#epoll.change(fd, readiness, this.#tags[fd]!)
  }

  /** Stops watching. */
  remove(fd: number): void {
    this.#epoll.remove(fd)
    this.forget(fd)
  }

  /** Stops telling of a descriptor that is being closed, by which the kernel stops watching. */
  forget(fd: number): void {
    this.#watchers[fd] = undefined
    if (--this.#watched === 0 && !this.#isDisposed) this.#poll.unref()
  }

  /** The first `length` bytes of {@link buffer}. */
  received(length: number): Uint8Array {
    const slot = length % KEPT_VIEWS
    const kept = this.#views[slot]
    if (kept?.length === length) return kept
    return (this.#views[slot] = this.buffer.subarray(0, length))
  }

  /** Tells of nothing any more; descriptors that are watched stay open. */
  [Symbol.dispose](): void {
    if (this.#isDisposed) return
    this.#isDisposed = true
    this.#poll.close()
    this.#epoll[Symbol.dispose]()
  }

  /** Called outside of Node's scopes, which an immediate has: promises go on after it, and what it throws is reported. */
  readonly #schedule = (): void => {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(this.#turn)
  }

  readonly #turn = (): void => {
    this.#isScheduled = false
    if (this.#isDisposed) return
    const count = this.#epoll.wait()
    // An event that is not handled because a handler throws comes again: all are level-triggered.
    for (let i = 0; i < count; i++) {
      const fd = this.#epoll.descriptor(i)
      // An earlier event of this turn may have closed the descriptor, and opened another of the same number.
      if (this.#tags[fd] === this.#epoll.tag(i)) this.#watchers[fd]?.ready(this.#epoll.readiness(i))
    }
  }
}
