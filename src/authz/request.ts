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
  readonly host?: string
}

/** One question to the policy: may this peer do this here? */
export interface AuthorizationRequest {
  /** The SPIFFE ID that the peer proved in the handshake. */
  readonly principal: string
  readonly workload: Workload
  /** The port that the inbound listener listens on. */
  readonly port: number
  /** Absent on a listener that carries bytes. */
  readonly http?: HttpRequestHead
}
