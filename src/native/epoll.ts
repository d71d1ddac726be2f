import type { SocketSystem } from './socket.ts'

/** What may happen to a descriptor (sys/epoll.h). {@link Readiness.error} and `hangUp` are told without asking. */
export const Readiness = { readable: 0x1, writable: 0x4, error: 0x8, hangUp: 0x10 } as const

const EPOLL_CLOEXEC = 0o2000000
const ADD = 1
const REMOVE = 2
const CHANGE = 3

/** Where a `struct epoll_event` of int32 fields keeps its data: it is packed on x64 only. */
const IS_PACKED = process.arch === 'x64'
const EVENT_INTS = IS_PACKED ? 3 : 4
const DATA_AT = IS_PACKED ? 1 : 2

/** A set of descriptors that the kernel watches, level-triggered. Each event carries the descriptor and a number given for it. */
export class Epoll implements Disposable {
  readonly #system: SocketSystem
  readonly #event = new Int32Array(EVENT_INTS)
  readonly #events: Int32Array
  readonly #capacity: number
  #fd: number

  private constructor(system: SocketSystem, fd: number, capacity: number) {
    this.#system = system
    this.#fd = fd
    this.#capacity = capacity
    this.#events = new Int32Array(capacity * EVENT_INTS)
  }

  /** @param capacity how many events one {@link wait} takes at most. @returns a negative errno for failure */
  static create(system: SocketSystem, capacity: number): Epoll | number {
    const fd = system.epollCreate(EPOLL_CLOEXEC)
    return fd < 0 ? -system.errno() : new Epoll(system, fd, capacity)
  }

  /** Readable when {@link wait} has something to tell. @throws ReferenceError after disposal */
  get fd(): number {
    if (this.#fd < 0) throw new ReferenceError('The epoll descriptor was used after it was closed')
    return this.#fd
  }

  /** @param tag comes back with each event. @returns 0, or a negative errno */
  add(fd: number, readiness: number, tag: number): number {
    return this.#control(ADD, fd, readiness, tag)
  }

  /** @returns 0, or a negative errno */
  change(fd: number, readiness: number, tag: number): number {
    return this.#control(CHANGE, fd, readiness, tag)
  }

  /** @returns 0, or a negative errno */
  remove(fd: number): number {
    return this.#control(REMOVE, fd, 0, 0)
  }

  /** Takes what has happened already, without waiting. @returns how many events, or a negative errno */
  wait(): number {
    const count = this.#system.epollWait(this.fd, this.#events, this.#capacity, 0)
    return count < 0 ? -this.#system.errno() : count
  }

  /** Of event `index` of the last {@link wait}: what happened. */
  readiness(index: number): number {
    return this.#events[index * EVENT_INTS]!
  }

  /** Of event `index` of the last {@link wait}: to whom. */
  descriptor(index: number): number {
    return this.#events[index * EVENT_INTS + DATA_AT]!
  }

  /** Of event `index` of the last {@link wait}: what was given with the descriptor. */
  tag(index: number): number {
    return this.#events[index * EVENT_INTS + DATA_AT + 1]!
  }

  [Symbol.dispose](): void {
    if (this.#fd < 0) return
    const fd = this.#fd
    this.#fd = -1
    this.#system.close(fd)
  }

  #control(operation: number, fd: number, readiness: number, tag: number): number {
    this.#event[0] = readiness
    this.#event[DATA_AT] = fd
    this.#event[DATA_AT + 1] = tag
    return this.#system.epollControl(this.fd, operation, fd, this.#event) < 0 ? -this.#system.errno() : 0
  }
}
