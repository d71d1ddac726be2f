import { DecodeError } from '../../../src/bytes/errors.ts'
import { equalBytes } from '../../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../../src/crypto/native-provider.ts'
import {
  chooseEchConfig,
  decodeEchConfig,
  decodeEchConfigList,
  encodeEchConfigList,
  makeEchConfig,
} from '../../../src/tls/ech/config.ts'
import { echClientHello, type EchClientHello } from '../../../src/tls/ech/extension.ts'
import { decodeInnerHello, encodeInnerHello } from '../../../src/tls/ech/inner-hello.ts'
import { TlsError } from '../../../src/tls/errors.ts'
import { encodeClientHello, type ClientHello } from '../../../src/tls/messages/client-hello.ts'
import { Extensions } from '../../../src/tls/messages/extensions.ts'
import { magnitude, outcomeOf, Violation, type FuzzTarget } from '../target.ts'
import { written } from '../../support/codecs.ts'

/** What Encrypted ClientHello reads of strangers, on either side of the encryption. */
export function echTargets(): readonly FuzzTarget[] {
  return [configListTarget(), extensionTarget(), innerHelloTarget()]
}

function configListTarget(): FuzzTarget {
  const crypto = nativeCrypto()
  const made = [8, 9].map(
    (configId) => makeEchConfig(crypto, { publicName: 'edge.example', configId }).config,
  )
  return {
    name: 'ech-config-list',
    seeds: [encodeEchConfigList(made), encodeEchConfigList(made.slice(1))],
    run: (input) =>
      outcomeOf(() => {
        const configs = decodeEchConfigList(input)
        if (configs.length === 0) return 'nothing of our version'
        const encoded = encodeEchConfigList(configs)
        if (!equalBytes(encodeEchConfigList(decodeEchConfigList(encoded)), encoded))
          throw new Violation('The list is another one after it was encoded and decoded again')
        for (const config of configs)
          if (!equalBytes(decodeEchConfig(config.encoded).encoded, config.encoded))
            throw new Violation('A config is another one by itself')
        return `${magnitude(configs.length)} configs, ${chooseEchConfig(configs) === undefined ? 'none' : 'one'} of use`
      }, DecodeError),
  }
}

const OUTER_EXTENSION: EchClientHello = {
  kind: 'outer',
  kdf: 1,
  aead: 1,
  configId: 8,
  enc: new Uint8Array(32).fill(1),
  payload: new Uint8Array(64).fill(2),
}

function extensionTarget(): FuzzTarget {
  return {
    name: 'ech-extension',
    seeds: [written(echClientHello, OUTER_EXTENSION), written(echClientHello, { kind: 'inner' })],
    run: (input) =>
      outcomeOf(
        () => {
          const extension = echClientHello.read(input)
          if (!equalBytes(written(echClientHello, extension), input))
            throw new Violation('The extension has two encodings')
          return extension.kind
        },
        DecodeError,
        TlsError,
      ),
  }
}

function innerHelloTarget(): FuzzTarget {
  const common = new Extensions('client_hello')
    .add('supported_groups', [29])
    .add('supported_versions', [0x0304])
    .add('key_share', [{ group: 29, share: new Uint8Array(32).fill(3) }])
  const outer = hello(
    Extensions.from(common).add('server_name', 'edge.example').add('encrypted_client_hello', OUTER_EXTENSION),
  )
  const inner = hello(
    Extensions.from(common)
      .add('server_name', 'ledger.example')
      .add('encrypted_client_hello', { kind: 'inner' }),
  )
  const plain = { ...outer, extensions: new Extensions('client_hello') }
  return {
    name: 'ech-inner-hello',
    seeds: [encodeInnerHello(inner, outer, 0), encodeInnerHello(inner, plain, 32)],
    run: (input) =>
      outcomeOf(() => {
        const restored = decodeInnerHello(input, outer)
        if (!equalBytes(encodeClientHello(restored.hello), restored.message.bytes))
          throw new Violation('The restored hello has two encodings')
        return `restored: ${restored.hello.extensions.types.length}`
      }, TlsError),
  }
}

function hello(extensions: Extensions<'client_hello'>): ClientHello {
  return {
    legacyVersion: 0x0303,
    random: new Uint8Array(32).fill(4),
    sessionId: new Uint8Array(32).fill(5),
    cipherSuites: [0x1301],
    compressionMethods: Uint8Array.of(0),
    extensions,
  }
}
