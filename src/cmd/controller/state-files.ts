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
  /** What proxies need to trust this controller. Public. */
  trustBundle: 'trust-bundle.pem',
} as const
