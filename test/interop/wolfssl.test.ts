import { testLinePeer } from './line-peer.ts'
import { WOLFSSL } from './peers/wolfssl.ts'

testLinePeer(WOLFSSL)
