import { testConnect, testServe } from './matrix.ts'
import {
  NSS,
  NSS_GROUPS,
  nssFlags,
  nssGroups,
  nssSuite,
  selfservService,
  startSelfserv,
  tstclnt,
  tstclntRequests,
} from './peers/nss.ts'

testServe({
  name: "NSS's tstclnt",
  program: NSS,
  groups: NSS_GROUPS,
  choosesCell: true,
  http: true,
  async prepare(_t, files) {
    const flags = [...(await nssFlags(files, files.web)), ...(await tstclntRequests(files))]
    return (t, { suite, group }, port) =>
      tstclnt(t, port, { flags: [...flags, ...nssSuite(suite), ...nssGroups([group])], connections: 1 })
  },
})

testConnect({
  name: "NSS's selfserv",
  program: NSS,
  groups: NSS_GROUPS,
  choosesCell: false,
  // What it says of two connections at a time, nobody could tell apart.
  concurrency: 1,
  async prepare(t, files) {
    const flags = [...(await nssFlags(files, files.catalog)), '-r', '-r', ...nssGroups(NSS_GROUPS)]
    const server = await startSelfserv(t, flags)
    return () => {
      const service = selfservService(server)
      return Promise.resolve({
        port: service.port,
        request: service.exchanges.map(({ request }) => request).join(''),
        answer: service.exchanges.at(-1)!.answer!,
        view: (received) => service.view(received),
      })
    }
  },
})
