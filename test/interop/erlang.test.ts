import { testLinePeer } from './line-peer.ts'
import { ERLANG } from './peers/erlang.ts'

testLinePeer(ERLANG)
