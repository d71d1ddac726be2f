/** An HTTPS server that answers TokenReviews and questions for pods as the Kubernetes API does. */
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { encodePem } from '../../src/pki/pem.ts'
import { mintIntermediate, mintLeaf, mintRoot, pemOf } from './certificates.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const OWN_TOKEN = 'token-of-the-controller'

type Json = Readonly<Record<string, unknown>>

export interface FakeKubernetes {
  readonly server: string
  readonly caFile: string
  readonly tokenFile: string
  /** By the token that is reviewed: the `status` of the answer. */
  readonly reviews: Map<string, Json>
  /** By `namespace/name`. */
  readonly pods: Map<string, Json>
  /** What has been asked. */
  readonly asked: { readonly path: string; readonly body: Json | undefined }[]
  /** The status code of every answer, in place of the right one. */
  failure: number | undefined
}

export async function fakeKubernetes(t: TestContext): Promise<FakeKubernetes> {
  const directory = await temporaryDirectory(t)
  const root = await mintRoot()
  const { cert, key } = pemOf(await mintLeaf(await mintIntermediate(root)))
  const [caFile, tokenFile] = [join(directory, 'ca.crt'), join(directory, 'token')]
  await writeFile(caFile, encodePem('CERTIFICATE', root.certificate.der))
  await writeFile(tokenFile, `${OWN_TOKEN}\n`)
  const server = createServer({ cert, key }).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const fake: FakeKubernetes = {
    server: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    caFile,
    tokenFile,
    reviews: new Map(),
    pods: new Map(),
    asked: [],
    failure: undefined,
  }
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    void serve(fake, request, response)
  })
  return fake
}

/** The `status` of a TokenReview for a token that holds. */
export function authenticated(
  serviceAccount: string,
  extra: Readonly<Record<string, string>> = {},
  audiences: readonly string[] = ['handfast'],
): Json {
  const [namespace, name] = serviceAccount.split('/')
  return {
    authenticated: true,
    user: {
      username: `system:serviceaccount:${namespace}:${name}`,
      uid: 'a-uid',
      groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
      extra: Object.fromEntries(
        Object.entries(extra).map(([key, value]) => [`authentication.kubernetes.io/${key}`, [value]]),
      ),
    },
    // An API that knows no audiences leaves them out.
    ...(audiences.length > 0 && { audiences }),
  }
}

/** A pod as the API describes it. */
export function pod(uid: string, serviceAccountName: string, nodeName: string, phase = 'Running'): Json {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { uid },
    spec: { serviceAccountName, nodeName },
    status: { phase },
  }
}

async function serve(
  fake: FakeKubernetes,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await bodyOf(request)
  fake.asked.push({ path: request.url!, body })
  const { status, value } = answer(fake, request, body)
  response.writeHead(fake.failure ?? status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}

function answer(
  { reviews, pods }: FakeKubernetes,
  { method, url, headers }: IncomingMessage,
  body: Json | undefined,
): { readonly status: number; readonly value: Json } {
  if (headers.authorization !== `Bearer ${OWN_TOKEN}`) return failure(401, 'Unauthorized')
  if (method === 'POST' && url === '/apis/authentication.k8s.io/v1/tokenreviews') {
    const { token } = body!['spec'] as { token: string }
    // What kube-apiserver says of a token that it knows nothing of.
    const status = reviews.get(token) ?? { user: {}, error: '[invalid bearer token, unknown]' }
    return { status: 201, value: { ...body, status } }
  }
  const [, namespace, name] = /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)$/.exec(url!) ?? []
  const found = pods.get(`${namespace}/${name}`)
  return found === undefined ? failure(404, `pods "${name}" not found`) : { status: 200, value: found }
}

function failure(code: number, message: string): { readonly status: number; readonly value: Json } {
  return { status: code, value: { kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code } }
}

async function bodyOf(request: IncomingMessage): Promise<Json | undefined> {
  let text = ''
  for await (const part of request) text += String(part)
  return text === '' ? undefined : (JSON.parse(text) as Json)
}
