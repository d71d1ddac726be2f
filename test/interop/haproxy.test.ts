import { testHttpServer } from './http-servers.ts'
import { HAPROXY } from './peers/haproxy.ts'

testHttpServer(HAPROXY)
