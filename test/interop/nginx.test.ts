import { testHttpServer } from './http-servers.ts'
import { NGINX } from './peers/nginx.ts'

testHttpServer(NGINX)
