import type * as NodeHttp from 'node:http'

/**
 * node:http. An import of it reads all that it exports, and one export, WebSocket, loads Node's whole fetch library
 * when it is read: 12 MB, in the process and again in every thread.
 */
export const http: typeof NodeHttp = process.getBuiltinModule('node:http')
