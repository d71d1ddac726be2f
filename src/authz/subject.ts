/** What policy looks at: a request, taken apart once. What no policy for the workload reads may be left out. */
export interface Subject {
  readonly principal: string
  readonly trustDomain: string
  /** Of the principal, when it belongs to the mesh's own trust domain and has one. */
  readonly namespace: string | undefined
  /** `namespace/name`, likewise. */
  readonly serviceAccount: string | undefined
  readonly port: number
  /** As text, for explanations. */
  readonly sourceIp: string | undefined
  /** Absent when it is not known. */
  readonly sourceIpBytes: Uint8Array | undefined
  /** Absent when it is not known. */
  readonly tls: { readonly sni?: string; readonly alpn?: string; readonly group?: string } | undefined
  /** Absent for a connection that carries bytes. */
  readonly http: HttpSubject | undefined
}

/** The parts of an HTTP request. */
export interface HttpSubject {
  readonly method: string
  /** In the spelling of `normalizePath`; absent when no policy reads it. */
  readonly path: string | undefined
  /** In the spelling of `normalizeHost`; absent when no policy reads it. */
  readonly host: string | undefined
  /** Those that policy reads, by name in lower case. */
  readonly headers: ReadonlyMap<string, readonly string[]>
  readonly grpc: GrpcCall | undefined
  /** Absent for a request without a good JWT. */
  readonly token:
    | { readonly principal: string; readonly claims: Readonly<Record<string, unknown>> }
    | undefined
}

/** A path that a gRPC server would read as a call. */
export interface GrpcCall {
  readonly service: string
  readonly method: string
  /** Whether method and content type are those of gRPC, too. */
  readonly certain: boolean
}
