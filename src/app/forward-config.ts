import type { ForwardTarget } from '../http/forward/target.js';
import { Authorities } from '../auth/peer-certificate.js';
import { checkPair, readNamed } from './certificates.js';
import type { FlagName, FlagValues, StoreConfig } from './config.js';
import { oneLine, UsageError } from './usage-error.js';
import { bad, isLoopback, readText, type ValueReader } from './values.js';

/** The kube-apiserver that takes what listwatch does not answer. Files are named, not read. */
export interface ForwardConfig {
  /** Origin alone. */
  readonly url: string;
  readonly caFile: string | undefined;
  readonly clientPair: { readonly certFile: string; readonly keyFile: string } | undefined;
}

export const forwardFlags = [
  [
    'forward-to',
    '<url>',
    'kube-apiserver that answers whatever listwatch does not: writes, exec, logs, other groups (default none: refused)',
  ],
  ['forward-to-ca-file', '<file>', "authorities of its certificate (default: the system's)"],
  [
    'proxy-client-cert-file',
    '<file>',
    'certificate that proves to it who passes users on; its --requestheader-client-ca-file must vouch for it',
  ],
  ['proxy-client-key-file', '<file>', 'key of --proxy-client-cert-file'],
] as const;

const PAIR = ['proxy-client-cert-file', 'proxy-client-key-file'] as const;

/** undefined: nothing is forwarded. */
export function resolveForward(flags: FlagValues, store: StoreConfig): ForwardConfig | undefined {
  const text = (flag: FlagName) => (typeof flags[flag] === 'string' ? readText(flag, flags[flag]) : undefined);
  const given = text('forward-to');
  const caFile = text('forward-to-ca-file');
  const [certFile, keyFile] = PAIR.map(text);
  if (given === undefined) {
    for (const flag of ['forward-to-ca-file', ...PAIR] as const) {
      if (flags[flag] !== undefined) throw new UsageError(`--${flag} has no effect without --forward-to`);
    }
    return undefined;
  }
  const url = readTarget('forward-to', given);
  if (store.kind !== 'etcd') {
    throw new UsageError(
      '--forward-to needs --etcd-servers: what is written through a kube-apiserver lies in its etcd, and is read from there',
    );
  }
  if (certFile !== undefined && keyFile === undefined) throw new UsageError(`--${PAIR[0]} needs --${PAIR[1]}`);
  if (certFile === undefined && keyFile !== undefined) throw new UsageError(`--${PAIR[1]} needs --${PAIR[0]}`);
  if (url.startsWith('http:')) {
    const useless = caFile !== undefined ? 'forward-to-ca-file' : certFile !== undefined ? PAIR[0] : undefined;
    if (useless === undefined) return { url, caFile, clientPair: undefined };
    throw bad('forward-to', given, `expected an https:// URL, since --${useless} is given`);
  }
  if (certFile === undefined || keyFile === undefined) {
    throw new UsageError(
      `--forward-to ${JSON.stringify(given)} needs --${PAIR[0]} and --${PAIR[1]}: without them nobody there believes who the user is`,
    );
  }
  return { url, caFile, clientPair: { certFile, keyFile } };
}

/** Reads what the flags name. Throws UsageError for what is not there or does not parse. */
export function openForwardTarget({ url, caFile, clientPair }: ForwardConfig): ForwardTarget {
  const ca = caFile === undefined ? undefined : readNamed('forward-to-ca-file', caFile);
  try {
    if (ca !== undefined) new Authorities(ca);
  } catch (error) {
    throw new UsageError(`--forward-to-ca-file ${caFile}: ${oneLine(error)}`);
  }
  if (clientPair === undefined) return { url, ca, pair: undefined };
  const { certFile, keyFile } = clientPair;
  const pair = { cert: readNamed(PAIR[0], certFile), key: readNamed(PAIR[1], keyFile) };
  checkPair(PAIR[0], certFile, pair.cert, keyFile, pair.key);
  return { url, ca, pair };
}

const readTarget: ValueReader<string> = (flag, text) => {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw bad(flag, text, 'expected a URL such as https://10.0.0.5:6443');
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw bad(flag, text, 'expected an https:// URL, such as https://10.0.0.5:6443');
  }
  if (url.username !== '' || url.password !== '') {
    const shown = `${url.protocol}//...@${url.host}`;
    throw bad(
      flag,
      shown,
      'expected a URL without a user: users are passed on, --proxy-client-cert-file vouches for them',
    );
  }
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    throw bad(flag, text, 'expected a URL without a path or query: those of the request are used');
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname.replace(/^\[|\]$/g, ''))) {
    throw bad(flag, text, 'expected an https:// URL: over http:// anybody on the way could be anybody; loopback only');
  }
  return url.origin;
};
