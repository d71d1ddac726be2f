import { testLinePeer } from './line-peer.ts'
import { JAVA } from './peers/java.ts'

testLinePeer(JAVA)
