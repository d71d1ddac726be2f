import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, Program, which } from '../support/program.ts'
import { writeCredentials } from './credentials.ts'
import { CATALOG_NAME, KINDS, workloadsOf, type Pair, type PairOptions } from './pair.ts'

const TYPE = 'type.googleapis.com/envoy.extensions'

/** Envoy as two TCP proxies with one worker each; none where it is not installed. It chooses TLS_AES_128_GCM_SHA256 by itself. */
export async function envoyPairs(options: PairOptions): Promise<readonly Pair[]> {
  const envoy = which('envoy')
  if (envoy === undefined) return []
  const pairs: Pair[] = []
  for (const { suffix, resumes } of KINDS) {
    const [entry, gate] = [await freePort(), await freePort()]
    const own = join(options.directory, `envoy-${resumes ? 'resumes' : 'full'}`)
    const { web, catalog } = await writeCredentials(own)
    const start = (name: string, port: number, parts: EnvoyParts): Promise<Program> =>
      startEnvoy(envoy, join(own, name), { options, port, ...parts })
    const inbound = await start('in', gate, {
      to: options.backendPort,
      downstream: {
        '@type': `${TYPE}.transport_sockets.tls.v3.DownstreamTlsContext`,
        require_client_certificate: true,
        disable_stateless_session_resumption: !resumes,
        common_tls_context: tlsContext(catalog, {}),
      },
    })
    const outbound = await start('out', entry, {
      to: gate,
      upstream: {
        '@type': `${TYPE}.transport_sockets.tls.v3.UpstreamTlsContext`,
        max_session_keys: resumes ? 32 : 0,
        common_tls_context: tlsContext(web, {
          match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: CATALOG_NAME } }],
        }),
      },
    })
    pairs.push({
      name: `envoy${suffix}`,
      port: entry,
      proxies: [inbound, outbound],
      workloads: workloadsOf(resumes),
    })
  }
  return pairs
}

function tlsContext(credentials: string, validation: object): object {
  const file = (name: string): object => ({ filename: join(credentials, name) })
  return {
    tls_params: {
      tls_minimum_protocol_version: 'TLSv1_3',
      tls_maximum_protocol_version: 'TLSv1_3',
      ecdh_curves: ['X25519MLKEM768', 'X25519'],
    },
    tls_certificates: [{ certificate_chain: file('cert.pem'), private_key: file('key.pem') }],
    validation_context: { trusted_ca: file('ca.pem'), ...validation },
  }
}

interface EnvoyParts {
  /** The port of loopback that it forwards to. */
  readonly to: number
  /** Of its listener, and of the connections that it makes; plaintext where it is absent. */
  readonly downstream?: object
  readonly upstream?: object
}

async function startEnvoy(
  envoy: string,
  directory: string,
  {
    options,
    port,
    to,
    downstream,
    upstream,
  }: EnvoyParts & { readonly options: PairOptions; readonly port: number },
): Promise<Program> {
  await mkdir(directory, { recursive: true })
  const config = join(directory, 'envoy.json')
  const limits = { max_connections: 20_000, max_pending_requests: 20_000 }
  await writeFile(
    config,
    JSON.stringify({
      static_resources: {
        listeners: [
          {
            name: 'entry',
            address: loopback(port),
            filter_chains: [
              {
                filters: [
                  {
                    name: 'envoy.filters.network.tcp_proxy',
                    typed_config: {
                      '@type': `${TYPE}.filters.network.tcp_proxy.v3.TcpProxy`,
                      stat_prefix: 'entry',
                      cluster: 'peer',
                      idle_timeout: '0s',
                    },
                  },
                ],
                ...transportSocket(downstream),
              },
            ],
          },
        ],
        clusters: [
          {
            name: 'peer',
            type: 'STATIC',
            connect_timeout: '10s',
            circuit_breakers: { thresholds: [limits] },
            load_assignment: {
              cluster_name: 'peer',
              endpoints: [{ lb_endpoints: [{ endpoint: { address: loopback(to) } }] }],
            },
            ...transportSocket(upstream),
          },
        ],
      },
    }),
  )
  const flags = ['--concurrency', '1', '--disable-hot-restart', '--log-level', 'error']
  const program = options.programs.use(new Program(`envoy ${directory}`, [envoy, ...flags, '-c', config]))
  await program.listening(port)
  return program
}

function loopback(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } }
}

function transportSocket(context: object | undefined): object {
  return context === undefined
    ? {}
    : { transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: context } }
}
