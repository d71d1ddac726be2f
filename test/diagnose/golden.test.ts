import assert from 'node:assert/strict'
import test from 'node:test'
import type { Side } from '../../src/diagnose/explanation.ts'
import { explainHandshake } from '../../src/diagnose/explain.ts'
import { renderExplanation } from '../../src/diagnose/render.ts'
import type { TraceEvent } from '../../src/tls/trace.ts'
import { anonymousClient, expiredServer, mutualSuccess, plaintextClient } from './events.ts'

function render(events: readonly TraceEvent[], perspective: Side, width: number): string {
  return renderExplanation(explainHandshake(events, perspective), { colour: false, width })
}

test('renderExplanation shows a mutual handshake', () => {
  assert.equal(
    render(mutualSuccess(), 'client', 100),
    `TLS 1.3 handshake, as the client saw it                                   ✓ established after 4.1 ms
2026-11-23 12:00:00 UTC; numbered as they came, grouped by what they settle

✓ 1  Which version and parameters?
     TLS 1.3, TLS_AES_128_GCM_SHA256, ALPN h2, server name catalog.shop.svc

   #1     0.0 ms  client ──▶ server  ClientHello           312 bytes   readable
                  versions      TLS 1.3
                  suites        TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384,
                                TLS_CHACHA20_POLY1305_SHA256
                  groups        x25519, secp256r1
                  key share     x25519 (32 bytes, public)
                  signatures    ecdsa_secp256r1_sha256, ed25519
                  server name   catalog.shop.svc (SNI picks the certificate)
                  ALPN          h2, http/1.1
                  legacy        legacy_version says TLS 1.2 and is ignored
                                session id of 32 bytes, names no session
   #2     1.9 ms  client ◀── server  ServerHello           122 bytes   readable
                  version       TLS 1.3
                  suite         TLS_AES_128_GCM_SHA256
                  key share     x25519 (32 bytes, public)
                  legacy        legacy_version says TLS 1.2 and is ignored
                                session id echoed, resumes nothing
   #3     2.3 ms  client ◀══ server  EncryptedExtensions    15 bytes   encrypted
                  ALPN          h2 (chosen)

✓ 2  Which keys, without ever sending them?
     by x25519, with secrets of their own for each phase and direction

          0.1 ms  client ──▶ server  change_cipher_spec  legacy, changes nothing
          2.1 ms  ✓ both derive the same secret from the two public x25519 shares; neither sends it
          2.1 ms  client ◀══ server  encrypted handshake from here on
          2.1 ms  client ══▶ server  encrypted handshake from here on
          2.2 ms  client ◀── server  change_cipher_spec  legacy, changes nothing

✓ 3  Who is the server, and mutually the client?
     the server is spiffe://shop.test/ns/shop/sa/catalog; the client shows
     spiffe://shop.test/ns/shop/sa/web

   #4     2.4 ms  client ◀══ server  CertificateRequest     94 bytes   encrypted
                  asks for      a client certificate (mutual authentication)
                  signatures    ecdsa_secp256r1_sha256, ed25519
                  authorities   CN=Shop root,O=Shop
   #5     2.5 ms  client ◀══ server  Certificate          1104 bytes   encrypted
                  certificate   spiffe://shop.test/ns/shop/sa/catalog
                    issued by   CN=Shop workloads,O=Shop
                    valid       until 2026-11-23 12:59:00 UTC, 58 min 59 s left
                  sent with it  Shop workloads
                    issued by   CN=Shop root,O=Shop
                    valid       until 2026-11-23 12:59:00 UTC, 58 min 59 s left
          3.0 ms  ✓ the server is spiffe://shop.test/ns/shop/sa/catalog: name, chain and validity
                    hold for 58 min 59 s, under CN=Shop root,O=Shop
   #6     3.0 ms  client ◀══ server  CertificateVerify      78 bytes   encrypted
                  signature     ecdsa_secp256r1_sha256
                  proves        that its sender holds the key, over this handshake and no other
          3.3 ms  ✓ the server holds the key of its certificate: its signature fits this handshake
   #8     3.6 ms  client ══▶ server  Certificate           588 bytes   encrypted
                  certificate   spiffe://shop.test/ns/shop/sa/web
                    issued by   CN=Shop workloads,O=Shop
                    valid       until 2026-11-23 12:59:00 UTC, 58 min 59 s left
   #9     3.9 ms  client ══▶ server  CertificateVerify      79 bytes   encrypted
                  signature     ecdsa_secp256r1_sha256
                  proves        that its sender holds the key, over this handshake and no other

✓ 4  Did anyone alter the talk?
     no: both sides agree on everything said

   #7     3.4 ms  client ◀══ server  Finished               36 bytes   encrypted
                  is a MAC of   every message so far, under a key of this handshake
          3.4 ms  ✓ the server's Finished matches: both sides saw the same messages, bit for bit
  #10     4.0 ms  client ══▶ server  Finished               36 bytes   encrypted
                  is a MAC of   every message so far, under a key of this handshake

✓ 5  When may data flow?
     after 4.1 ms

          3.5 ms  client ◀══ server  application data from here on
          4.1 ms  client ══▶ server  application data from here on
          4.1 ms  ✓ the other side is verified and the talk unaltered: application data may flow
  #11   812.0 ms  client ══▶ server  alert close_notify                encrypted
  #12   812.9 ms  client ◀══ server  alert close_notify                encrypted

  Two transitions in each direction
                     readable          encrypted handshake   application data
  client ──▶ server  until 2.1 ms      from 2.1 ms           from 4.1 ms
  client ◀── server  until 2.1 ms      from 2.1 ms           from 3.5 ms

  What an observer on the wire learned
     who and when    addresses and ports of both ends, time and size of every packet
     in the clear    ClientHello, ServerHello
     server name     catalog.shop.svc
     ALPN offered    h2, http/1.1
     chosen          TLS 1.3, TLS_AES_128_GCM_SHA256, x25519
     sealed records  about 2030 bytes of handshake from 2.3 ms on, content unknown
  and did not learn
     secrets         both halves of the key agreement stayed where they were made
     identities      the certificate of the client, the certificate of the server
     ALPN chosen     h2
     proofs          EncryptedExtensions, CertificateRequest, Certificate, CertificateVerify,
                     Finished
     data            every byte of the applications
`,
  )
})

test('renderExplanation shows a server whose certificate has expired', () => {
  assert.equal(
    render(expiredServer(), 'client', 80),
    `TLS 1.3 handshake, as the client saw it                 ✗ failed at stage 3 of 5
2026-11-23 12:00:00 UTC; numbered as they came, grouped by what they settle

✓ 1  Which version and parameters?
     TLS 1.3, TLS_AES_128_GCM_SHA256, ALPN h2, server name catalog.shop.svc

   #1     0.0 ms  client ──▶ server  ClientHello           312 bytes   readable
                  versions      TLS 1.3
                  suites        TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384,
                                TLS_CHACHA20_POLY1305_SHA256
                  groups        x25519, secp256r1
                  key share     x25519 (32 bytes, public)
                  signatures    ecdsa_secp256r1_sha256, ed25519
                  server name   catalog.shop.svc (SNI picks the certificate)
                  ALPN          h2, http/1.1
                  legacy        legacy_version says TLS 1.2 and is ignored
                                session id of 32 bytes, names no session
   #2     1.9 ms  client ◀── server  ServerHello           122 bytes   readable
                  version       TLS 1.3
                  suite         TLS_AES_128_GCM_SHA256
                  key share     x25519 (32 bytes, public)
                  legacy        legacy_version says TLS 1.2 and is ignored
                                session id echoed, resumes nothing
   #3     2.3 ms  client ◀══ server  EncryptedExtensions    15 bytes   encrypted
                  ALPN          h2 (chosen)

✓ 2  Which keys, without ever sending them?
     by x25519, with secrets of their own for each phase and direction

          0.1 ms  client ──▶ server  change_cipher_spec  legacy, changes nothing
          2.1 ms  ✓ both derive the same secret from the two public x25519
                    shares; neither sends it
          2.1 ms  client ◀══ server  encrypted handshake from here on
          2.1 ms  client ══▶ server  encrypted handshake from here on
          2.2 ms  client ◀── server  change_cipher_spec  legacy, changes nothing

✗ 3  Who is the server, and mutually the client?
     A certificate has expired

   #4     2.4 ms  client ◀══ server  CertificateRequest     94 bytes   encrypted
                  asks for      a client certificate (mutual authentication)
                  signatures    ecdsa_secp256r1_sha256, ed25519
                  authorities   CN=Shop root,O=Shop
   #5     2.5 ms  client ◀══ server  Certificate          1104 bytes   encrypted
                  certificate   spiffe://shop.test/ns/shop/sa/catalog
                    issued by   CN=Shop workloads,O=Shop
                    valid       expired 2026-11-22 10:00:00 UTC, 1 d 2 h ago
   #6     2.9 ms  client ══▶ server  alert certificate_expired         encrypted

· 4  Did anyone alter the talk?  not reached

· 5  When may data flow?  not reached

  Two transitions in each direction
                     readable          encrypted handshake   application data
  client ──▶ server  until 2.1 ms      from 2.1 ms           never
  client ◀── server  until 2.1 ms      from 2.1 ms           never

  What an observer on the wire learned
     who and when    addresses and ports of both ends, time and size of every
                     packet
     in the clear    ClientHello, ServerHello
     server name     catalog.shop.svc
     ALPN offered    h2, http/1.1
     chosen          TLS 1.3, TLS_AES_128_GCM_SHA256, x25519
     sealed records  about 1213 bytes of handshake from 2.3 ms on, content
                     unknown
  and did not learn
     secrets         both halves of the key agreement stayed where they were
                     made
     identities      the certificate of the server
     ALPN chosen     h2
     proofs          EncryptedExtensions, CertificateRequest, Certificate

✗ A certificate has expired (PKI_EXPIRED)
  message     The certificate of spiffe://shop.test/ns/shop/sa/catalog has
              expired
  stage       3 of 5: Who is the server, and mutually the client?
  reached     Certificate of the server (#5)
  refused by  the client (this side), by the alert certificate_expired
  evidence    certificate of spiffe://shop.test/ns/shop/sa/catalog, serial
              0a1b2c3d
              issued by CN=Shop workloads,O=Shop
              valid from 2026-11-22 09:00:00 UTC, expired 2026-11-22 10:00:00
              UTC, 1 d 2 h ago
              the clock of this machine says 2026-11-23 12:00:00 UTC
  meaning     Its validity ended before this moment by the clock of this
              machine. Either it was not renewed in time, or this clock runs
              ahead.
  remedy      Renew the certificate at its holder and reload it there; check why
              renewal failed. If the time above is wrong, set the clock of this
              machine.
`,
  )
})

test('renderExplanation shows a client without certificate, refused', () => {
  assert.equal(
    render(anonymousClient(), 'server', 80),
    `TLS 1.3 handshake, as the server saw it                 ✗ failed at stage 3 of 5
2026-11-23 12:00:00 UTC; numbered as they came, grouped by what they settle

✓ 1  Which version and parameters?
     TLS 1.3, TLS_AES_128_GCM_SHA256, ALPN h2, server name catalog.shop.svc

   #1     0.0 ms  client ──▶ server  ClientHello           312 bytes   readable
                  versions      TLS 1.3
                  suites        TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384,
                                TLS_CHACHA20_POLY1305_SHA256
                  groups        x25519, secp256r1
                  key share     x25519 (32 bytes, public)
                  signatures    ecdsa_secp256r1_sha256, ed25519
                  server name   catalog.shop.svc (SNI picks the certificate)
                  ALPN          h2, http/1.1
                  legacy        legacy_version says TLS 1.2 and is ignored
                                session id of 32 bytes, names no session
   #2     1.9 ms  client ◀── server  ServerHello           122 bytes   readable
                  version       TLS 1.3
                  suite         TLS_AES_128_GCM_SHA256
                  key share     x25519 (32 bytes, public)
                  legacy        legacy_version says TLS 1.2 and is ignored
                                session id echoed, resumes nothing
   #3     2.3 ms  client ◀══ server  EncryptedExtensions    15 bytes   encrypted
                  ALPN          h2 (chosen)

✓ 2  Which keys, without ever sending them?
     by x25519, with secrets of their own for each phase and direction

          0.1 ms  client ──▶ server  change_cipher_spec  legacy, changes nothing
          2.1 ms  ✓ both derive the same secret from the two public x25519
                    shares; neither sends it
          2.1 ms  client ◀══ server  encrypted handshake from here on
          2.1 ms  client ══▶ server  encrypted handshake from here on
          2.2 ms  client ◀── server  change_cipher_spec  legacy, changes nothing

✗ 3  Who is the server, and mutually the client?
     The client showed no certificate

   #4     2.4 ms  client ◀══ server  CertificateRequest     94 bytes   encrypted
                  asks for      a client certificate (mutual authentication)
                  signatures    ecdsa_secp256r1_sha256, ed25519
                  authorities   CN=Shop root,O=Shop
   #5     2.5 ms  client ◀══ server  Certificate          1104 bytes   encrypted
                  certificate   spiffe://shop.test/ns/shop/sa/catalog
                    issued by   CN=Shop workloads,O=Shop
                    valid       until 2026-11-23 12:59:00 UTC, 58 min 59 s left
   #6     2.6 ms  client ◀══ server  CertificateVerify      79 bytes   encrypted
                  signature     ecdsa_secp256r1_sha256
                  proves        that its sender holds the key, over this
                                handshake and no other
   #8     5.2 ms  client ══▶ server  Certificate             8 bytes   encrypted
                  certificate   none: the client has nothing to show
   #9     5.3 ms  client ◀══ server  alert certificate_required        encrypted

· 4  Did anyone alter the talk?
     not settled

   #7     2.7 ms  client ◀══ server  Finished               36 bytes   encrypted
                  is a MAC of   every message so far, under a key of this
                                handshake

· 5  When may data flow?  not reached

  Two transitions in each direction
                     readable          encrypted handshake   application data
  client ──▶ server  until 2.1 ms      from 2.1 ms           never
  client ◀── server  until 2.1 ms      from 2.1 ms           never

  What an observer on the wire learned
     who and when    addresses and ports of both ends, time and size of every
                     packet
     in the clear    ClientHello, ServerHello
     server name     catalog.shop.svc
     ALPN offered    h2, http/1.1
     chosen          TLS 1.3, TLS_AES_128_GCM_SHA256, x25519
     sealed records  about 1336 bytes of handshake from 2.3 ms on, content
                     unknown
  and did not learn
     secrets         both halves of the key agreement stayed where they were
                     made
     identities      the certificate of the server
     ALPN chosen     h2
     proofs          EncryptedExtensions, CertificateRequest, Certificate,
                     CertificateVerify, Finished

✗ The client showed no certificate (TLS_CERTIFICATE_REQUIRED)
  message     The client showed no certificate, and this server demands one
  stage       3 of 5: Who is the server, and mutually the client?
  reached     Certificate of the client (#8)
  refused by  the server (this side), by the alert certificate_required
  evidence    the client answered CertificateRequest with an empty Certificate
  meaning     This server lets nobody in who does not prove an identity, and the
              client answered the request with an empty Certificate. Plain TLS
              clients do so.
  remedy      Give the client a certificate and key that this server trusts, or
              have it go through its sidecar.
`,
  )
})

test('renderExplanation shows a client that does not speak TLS', () => {
  assert.equal(
    render(plaintextClient(), 'server', 100),
    `TLS handshake, as the server saw it                                         ✗ failed at stage 1 of 5
2026-11-23 12:00:00 UTC; numbered as they came, grouped by what they settle

✗ 1  Which version and parameters?
     The peer does not speak TLS

   #1     0.0 ms  client ◀── server  alert unexpected_message          readable

· 2  Which keys, without ever sending them?  not reached

· 3  Who is the server, and mutually the client?  not reached

· 4  Did anyone alter the talk?  not reached

· 5  When may data flow?  not reached

  Two transitions in each direction
                     readable          encrypted handshake   application data
  client ──▶ server  throughout        never                 never
  client ◀── server  throughout        never                 never

  What an observer on the wire learned
     who and when    addresses and ports of both ends, time and size of every packet
  and did not learn
     nothing         was hidden: the talk never became encrypted

✗ The peer does not speak TLS (TLS_NOT_TLS)
  message     The first bytes are "GET / HTTP/1.1", which is HTTP and not TLS: expected a handshake
              record
  stage       1 of 5: Which version and parameters?
  reached     nothing: no handshake message was exchanged
  refused by  the server (this side), by the alert unexpected_message
  meaning     The first bytes are not a TLS record. The peer talks plaintext on this port, or
              something between the two ends, such as a proxy or a load balancer, answered in its
              place.
  remedy      Check the address and port on the calling side. If the caller speaks plaintext, have
              it go through its sidecar or turn TLS on there.
`,
  )
})
