import { X509Certificate } from 'node:crypto';
import type { Clock } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import type { Random } from '../lib/random.js';
import { createEmbeddedStore } from '../source/embedded/embedded-store.js';
import { createEtcdSource } from '../source/etcd/etcd-source.js';
import { type Source, SourceError, type WritableStore } from '../source/source.js';
import { checkPair, readNamed } from './certificates.js';
import type { StoreConfig } from './config.js';
import type { Log } from './log.js';
import { oneLine, UsageError } from './usage-error.js';

/** Which store is followed. Files are read here, so that a wrong one is said at start and by its flag. */
export function openSource(
  store: StoreConfig,
  limits: Limits,
  { clock, random, log }: { readonly clock: Clock; readonly random: Random; readonly log: Log },
): { readonly source: Source; readonly embedded: WritableStore | undefined } {
  if (store.kind === 'embedded') {
    const embedded = createEmbeddedStore({ clock, random });
    return { source: embedded, embedded };
  }
  const { caFile, certFile, keyFile, user } = store;
  const options = {
    endpoints: store.endpoints,
    healthKey: `${store.prefix}/health`,
    limits,
    ...(caFile === undefined ? {} : { caFile: readAuthority(caFile) }),
    ...(certFile === undefined || keyFile === undefined ? {} : readPair(certFile, keyFile)),
    ...(user === undefined ? {} : { user: user.name, password: passwordOf(user.password) }),
  };
  try {
    return {
      source: createEtcdSource(options, { clock, random, log: (message) => log.info(message) }),
      embedded: undefined,
    };
  } catch (error) {
    if (error instanceof SourceError && error.kind === 'invalid')
      throw new UsageError(`--etcd-servers: ${oneLine(error)}`);
    throw error;
  }
}

function readAuthority(path: string): string {
  const text = readNamed('etcd-cafile', path);
  try {
    new X509Certificate(text);
  } catch {
    throw new UsageError(`--etcd-cafile ${path}: not a certificate in PEM form`);
  }
  return text;
}

function readPair(certPath: string, keyPath: string): { readonly certFile: string; readonly keyFile: string } {
  const certFile = readNamed('etcd-certfile', certPath);
  const keyFile = readNamed('etcd-keyfile', keyPath);
  checkPair('etcd-certfile', certPath, certFile, keyPath, keyFile);
  return { certFile, keyFile };
}

function passwordOf(password: { readonly file: string } | { readonly text: string }): string {
  return 'text' in password ? password.text : readNamed('etcd-password-file', password.file).replace(/\r?\n$/, '');
}
