import { freePort } from '../support/peers.ts'
import { testConnect } from './matrix.ts'
import { HAPROXY, HAPROXY_GROUPS, haproxyView, startHaproxy } from './peers/haproxy.ts'

testConnect({
  name: 'haproxy',
  program: HAPROXY,
  groups: HAPROXY_GROUPS,
  choosesCell: false,
  async prepare(t, files) {
    const port = await freePort()
    await startHaproxy(t, files, [{ port, curves: 'X25519:P-256:P-384', verify: 'required' }])
    let count = 0
    return () => {
      const url = `/asked-${++count}`
      return Promise.resolve({
        port,
        request: `GET ${url} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
        answer: new RegExp(`^HTTP/1\\.1 200 OK\r\n[^]*\r\n\r\n${url} suite=.*\n`),
        view: (received) => Promise.resolve(haproxyView(received)),
      })
    }
  },
})
