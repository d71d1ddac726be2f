/** What lies in a controller's state directory. */
export const STATE_FILES = {
  /** Root and intermediate, with their keys. Directory. */
  authorities: 'ca',
  /** Registrations of join tokens. Directory. */
  tokens: 'tokens',
  /** What was issued and refused, with signed heads (journal-files.ts). Directory. */
  journal: 'journal',
  /** What earlier versions wrote in its place; imported once. */
  olderJournal: 'journal.jsonl',
  /** Trust bundles: the last good ones of other trust domains, and ours as it is published. Directory. */
  federation: 'federation',
  /** The Unix socket for operators' commands. Directory. */
  admin: 'admin',
  /** Who leads of several controllers (file-lease.ts). Directory. */
  leader: 'leader',
  /** Who is connected to each of them (directory-fleet-store.ts). Directory. */
  fleets: 'fleets',
  /** What is the own of each that has a name: its lock, journal and admin socket. Directory. */
  replicas: 'replicas',
  /** What proxies need to trust this controller. Public. */
  trustBundle: 'trust-bundle.pem',
} as const
