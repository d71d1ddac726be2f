import { freePort } from '../support/peers.ts'
import { testConnect } from './matrix.ts'
import { NGINX, nginxView, startNginx } from './peers/nginx.ts'
import { OPENSSL_GROUPS } from './peers/openssl.ts'

testConnect({
  name: 'nginx',
  program: NGINX,
  groups: OPENSSL_GROUPS,
  choosesCell: false,
  async prepare(t, files) {
    const port = await freePort()
    await startNginx(t, files, [{ port, curves: 'X25519:prime256v1:secp384r1', verifyClient: 'on' }])
    let count = 0
    return () => {
      const url = `/asked-${++count}`
      return Promise.resolve({
        port,
        request: `GET ${url} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
        answer: new RegExp(`^HTTP/1\\.1 200 OK\r\n[^]*\r\n\r\n${url} SUCCESS TLSv1\\.3 localhost .*\n`),
        view: (received) => Promise.resolve(nginxView(received)),
      })
    }
  },
})
