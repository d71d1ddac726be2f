/** Who is asked: the workload that this proxy stands before. */
export interface Workload {
  readonly namespace: string
  readonly serviceAccount: string
}

/** The head of an HTTP request, as far as policy reads it. */
export interface HttpRequestHead {
  /** As it came; anything but a token in upper case cannot be judged by method. */
  readonly method: string
  /** The request target as it came, or its normalised path: deciding normalises it again. */
  readonly path: string
  /** The Host header as it came. */
  readonly host?: string
  /** Every line of every header, by name in lower case, as `headersDistinct` of node:http has them. @default none */
  readonly headers?: Readonly<Record<string, readonly string[] | undefined>>
}

/** What the handshake settled beside identity. */
export interface TlsFacts {
  /** What the client asked for; absent when it asked for no name. */
  readonly sni?: string
  /** Absent when none was negotiated. */
  readonly alpn?: string
  /** Absent when it is not known: conditions on it then fail closed. */
  readonly group?: string
}

/** What a JWT says whose signature, time and audience were found good. */
export interface RequestToken {
  /** `issuer/subject`. */
  readonly principal: string
  readonly claims: Readonly<Record<string, unknown>>
}

/** One question to the policy: may this peer do this here? */
export interface AuthorizationRequest {
  /** The SPIFFE ID that the peer proved in the handshake. */
  readonly principal: string
  readonly workload: Workload
  /** The port that the inbound listener listens on. */
  readonly port: number
  /** The address that the connection comes from; absent when it is not known: conditions on it then fail closed. */
  readonly sourceIp?: string
  /** Absent when it is not known: conditions on it then fail closed. */
  readonly tls?: TlsFacts
  /** Absent on a listener that carries bytes. */
  readonly http?: HttpRequestHead
  /** Absent when the HTTP request came without a JWT. */
  readonly token?: RequestToken
}
