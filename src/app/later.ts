/**
 * Modules that a start does not wait for. To load one takes about half a millisecond, and `serve` has some hundred: so what
 * only certain flags need is loaded when they are given, and what only answers requests is loaded once the store has been
 * asked for its first pages. All that can be wrong with flags and their files is still said before anything is started.
 */
export const later = {
  /** For --client-ca-file and whatever else says who may ask. */
  access: () => import('./open-access.js'),
  /** For --encryption-provider-config. */
  encryption: () => import('./open-encryption.js'),
  /** For requests. */
  http: () => import('../http/server.js'),
};

export type AccessOpener = Awaited<ReturnType<typeof later.access>>;
