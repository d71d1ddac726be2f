import { Worker } from 'node:worker_threads'
import { createDescriptorTable, resetDescriptors } from '../../native/descriptor-table.ts'
import { loadSockets } from '../../native/sockets.ts'
import type { ThreadOptions } from '../../proxy/threads/messages.ts'
import type { Thread } from '../../proxy/threads/thread-slot.ts'
import { programFile } from '../places.ts'

/** What the entry of a thread is given. */
export interface WorkerData {
  readonly options: ThreadOptions
  /** The descriptors that the thread has open beside Node's. */
  readonly descriptors: SharedArrayBuffer
}

/** Starts a data plane in a thread of its own. */
export function startWorkerThread(options: ThreadOptions): Thread {
  const workerData: WorkerData = { options, descriptors: createDescriptorTable() }
  const worker = new Worker(programFile('proxy/data-plane-thread'), {
    name: `data plane ${options.index}`,
    workerData,
  })
  return {
    port: worker,
    ended: whenEnded(worker, workerData),
    async terminate() {
      await worker.terminate()
    },
  }
}

/** Resolves with the cause, when nothing of the thread is left. */
function whenEnded(worker: Worker, { descriptors }: WorkerData): Promise<unknown> {
  return new Promise((resolve) => {
    let cause: unknown
    worker.once('error', (error) => (cause = error))
    worker.once('exit', (code) => {
      const sockets = loadSockets()
      if (sockets.kind === 'available') resetDescriptors(sockets.sockets.system, descriptors)
      resolve(cause ?? new Error(`The thread ended with code ${code}`))
    })
  })
}
