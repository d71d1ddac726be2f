import type { Address } from '../config/address.ts'
import type { HandfastError } from '../errors.ts'
import type { NetError } from './errors.ts'

/** What a connection tells its user. No handler is called from inside `attach`. */
export interface ConnectionHandlers {
  /** Bytes came. They are valid only during the call: copy what must last. A few may still come after `pause`. */
  data(bytes: Uint8Array): void
  /** The other side has ended its half cleanly; ours is still open. */
  end(): void
  /** What was written has left; called after a `write` returned false. */
  drain(): void
  /** The last call, exactly once. Without an error both halves ended cleanly or `abort` was called. */
  closed(error?: HandfastError): void
}

/**
 * A byte stream to another program: a TCP connection, or what runs on top of one.
 *
 * It delivers nothing before `attach`. Both halves end independently; whoever stops using a connection calls
 * `end` or `abort`, or it stays open for as long as the other side likes.
 */
export interface Connection {
  readonly local: Address
  readonly remote: Address
  /** Where the other side meant to go before it was redirected here; see {@link ListenOptions.isRedirected}. */
  readonly originalDestination?: Address | undefined
  /** Names who is told of events, once, and starts them. */
  attach(handlers: ConnectionHandlers): void
  /**
   * Sends bytes, in order. After the connection has closed they are dropped.
   *
   * @param ownership `lent` bytes are the caller's again when the call returns, `given` ones must not change any more,
   *   which saves a copy. @default 'lent'
   * @returns false when enough is buffered and the caller should wait for `drain`
   */
  write(bytes: Uint8Array, ownership?: 'lent' | 'given'): boolean
  /** Stops reading, so that the other side is slowed down. */
  pause(): void
  resume(): void
  /** Ends our half, after everything written. Further writes are an error. */
  end(): void
  /** Gives up both halves at once; the other side sees a reset and never a clean end. */
  abort(): void
}

/** A place where connections arrive. */
export interface Listener {
  /** With the port that was chosen where 0 was asked for. */
  readonly address: Address
  /** How many accepted connections are open. */
  readonly open: number
  /** How many connections were refused because too many were open. */
  readonly refused: number
  /** Stops accepting; connections that were accepted live on. Resolves when the port is free. */
  close(): Promise<void>
}

/**
 * Accepted connections that one listener holds open at a time unless it is told otherwise: more than a sidecar meets in
 * honest work, at memory that a node can bear.
 */
export const DEFAULT_MAX_CONNECTIONS = 65_536

export interface ListenOptions {
  /**
   * Told when connections cannot be accepted, and not again before one could; the listener goes on.
   *
   * @default nobody
   */
  readonly onError?: (error: NetError) => void
  /** More connections than so many at a time are cut at once. @default DEFAULT_MAX_CONNECTIONS */
  readonly maxConnections?: number
  /** Shares the port with every other listener that does so: the kernel spreads connections among them. @default false */
  readonly sharesPort?: boolean
  /**
   * Whether a packet filter sends connections here that were meant for elsewhere, so that it is worth asking for their
   * original destination. A transport that cannot ask leaves it undefined. @default false
   */
  readonly isRedirected?: boolean
}

export interface ConnectOptions {
  /** The connection must be there by then; name resolution included. */
  readonly timeoutMs: number
  /** Calls the attempt off. */
  readonly signal?: AbortSignal
  /** The IP address that the connection is to come from, one of this machine. @default what the system chooses */
  readonly from?: string
}

/** The way to the network. Implementations behave alike: test/net holds one suite for all. */
export interface Transport {
  readonly name: string
  /**
   * @param accept takes each connection over; it must attach or abort
   * @throws NetError NET_ADDRESS_IN_USE and others
   */
  listen(
    address: Address,
    accept: (connection: Connection) => void,
    options?: ListenOptions,
  ): Promise<Listener>
  /** @throws NetError NET_CONNECTION_REFUSED, NET_TIMEOUT and others */
  connect(address: Address, options: ConnectOptions): Promise<Connection>
  /**
   * Tells of nothing any more; nothing is opened or aborted after that. What stands between libuv and a thread must be gone
   * before the thread is: a native callback into a thread that can no longer run JavaScript ends the process.
   */
  [Symbol.dispose]?(): void
}
