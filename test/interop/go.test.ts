import { testLinePeer } from './line-peer.ts'
import { GO } from './peers/go.ts'

testLinePeer(GO)
