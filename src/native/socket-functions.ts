import type { LibraryHandle } from 'koffi'

/**
 * The system calls of sockets and epoll as C declares them, except that every number is an `int`, so that no call converts a
 * BigInt. They return -1 for failure. None of them checks a length against the memory behind it: their callers must.
 */
export interface SocketFunctions {
  readonly socket: (family: number, type: number, protocol: number) => number
  readonly bind: (fd: number, address: Uint8Array, length: number) => number
  readonly listen: (fd: number, backlog: number) => number
  readonly accept4: (fd: number, address: Uint8Array, length: Int32Array, flags: number) => number
  readonly connect: (fd: number, address: Uint8Array, length: number) => number
  readonly recv: (fd: number, bytes: Uint8Array, length: number, flags: number) => number
  readonly send: (fd: number, bytes: Uint8Array, length: number, flags: number) => number
  readonly shutdown: (fd: number, how: number) => number
  readonly close: (fd: number) => number
  readonly getsockname: (fd: number, address: Uint8Array, length: Int32Array) => number
  readonly getsockopt: (
    fd: number,
    level: number,
    name: number,
    value: Uint8Array,
    length: Int32Array,
  ) => number
  readonly setsockopt: (fd: number, level: number, name: number, value: Uint8Array, length: number) => number
  readonly epollCreate: (flags: number) => number
  readonly epollControl: (epoll: number, operation: number, fd: number, event: Int32Array) => number
  readonly epollWait: (epoll: number, events: Int32Array, maxEvents: number, timeoutMs: number) => number
}

/** @throws Error naming the first symbol that `library` lacks */
export function bindSocketFunctions(library: LibraryHandle): SocketFunctions {
  const bytes = '(int fd, uint8_t* bytes, int length, int flags)'
  return {
    socket: library.func('int socket(int family, int type, int protocol)'),
    bind: library.func('int bind(int fd, const uint8_t* address, int length)'),
    listen: library.func('int listen(int fd, int backlog)'),
    accept4: library.func('int accept4(int fd, uint8_t* address, int* length, int flags)'),
    connect: library.func('int connect(int fd, const uint8_t* address, int length)'),
    recv: library.func(`int recv${bytes}`),
    send: library.func(`int send${bytes}`),
    shutdown: library.func('int shutdown(int fd, int how)'),
    close: library.func('int close(int fd)'),
    getsockname: library.func('int getsockname(int fd, uint8_t* address, int* length)'),
    getsockopt: library.func('int getsockopt(int fd, int level, int name, uint8_t* value, int* length)'),
    setsockopt: library.func('int setsockopt(int fd, int level, int name, const uint8_t* value, int length)'),
    epollCreate: library.func('int epoll_create1(int flags)'),
    epollControl: library.func('int epoll_ctl(int epoll, int operation, int fd, int* event)'),
    epollWait: library.func('int epoll_wait(int epoll, int* events, int maxEvents, int timeoutMs)'),
  }
}
