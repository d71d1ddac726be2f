/** The cast of the demo: one trust domain, a tiny shop of two workloads, and one that has no business there. */

export const TRUST_DOMAIN = 'shop.example'

export const NAMESPACE = 'shop'

/** Workloads with an identity; each has a sidecar. */
export type Workload = 'web' | 'catalog' | 'intruder'

export const WORKLOADS: readonly Workload[] = ['catalog', 'web', 'intruder']

/** The SPIFFE ID that a workload's join token stands for. */
export function idOf(workload: Workload): string {
  return `spiffe://${TRUST_DOMAIN}/ns/${NAMESPACE}/sa/${workload}`
}

/** One thing that the shop sells. */
export interface Item {
  readonly name: string
  readonly price: string
}

/** What catalog has in store when it starts. */
export const ITEMS: readonly Item[] = [
  { name: 'kettle', price: '24.00' },
  { name: 'lantern', price: '39.50' },
  { name: 'notebook', price: '6.80' },
]

/** Renewal comes at half of it, soon enough to watch and late enough for a machine that is busy. */
export const SVID_TTL_SECONDS = 20
