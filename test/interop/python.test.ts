import { testLinePeer } from './line-peer.ts'
import { PYTHON } from './peers/python.ts'

testLinePeer(PYTHON)
