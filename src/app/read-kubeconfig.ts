import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import type { Clock } from '../lib/clock.js';
import { isObject, textMember } from '../lib/is-object.js';
import { checkPair, readNamed } from './certificates.js';
import { UsageError } from './usage-error.js';
import { isLoopback } from './values.js';

type Json = Readonly<Record<string, unknown>>;

/** How often the file of a token is read, at most: client-go's minute. */
const TOKEN_FILE_MS = 60_000;

/** What needs a program of its own, or would make somebody else of us. */
const NOT_SUPPORTED = ['exec', 'auth-provider', 'as', 'as-uid', 'as-groups', 'as-user-extra'] as const;

/** A server, and how it knows us. */
export interface KubeconfigServer {
  readonly url: URL;
  /** Certificates in PEM form; what is absent is as Node has it: the system's authorities, and a server must show that it is itself. */
  readonly tls: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly servername?: string;
    readonly rejectUnauthorized?: false;
  };
  /** The header, read for each call; undefined: none is sent. */
  readonly authorization: () => string | undefined;
}

/** `secure`: nobody but the server may read what we say, or answer, unless it is on this machine. */
export type KubeconfigTrust = 'secure' | 'any';

/**
 * The server that a kubeconfig's current context names, and how it knows us
 * (https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/). Files that it names lie beside it, unless their paths are absolute.
 * Throws UsageError for what is missing or cannot be; no message holds a secret.
 */
export function readKubeconfig(flag: string, path: string, trust: KubeconfigTrust, clock: Clock): KubeconfigServer {
  const fail = (problem: string) => new UsageError(`--${flag} ${path}: ${problem}`);
  const { cluster, user } = currentContext(readNamed(flag, path), fail);
  const url = serverUrl(cluster, trust, fail);
  const beside = (name: string) => resolve(dirname(path), name);

  /** What is given as `<name>-data`, or else in the file `<name>`; undefined: neither is. */
  const pem = (object: Json, name: string): string | undefined => {
    const data = textMember(object, `${name}-data`);
    if (data !== '') return Buffer.from(data, 'base64').toString('utf8');
    const file = textMember(object, name);
    return file === '' ? undefined : readNamed(flag, beside(file));
  };
  const ca = pem(cluster, 'certificate-authority');
  const cert = pem(user, 'client-certificate');
  const key = pem(user, 'client-key');
  const servername = textMember(cluster, 'tls-server-name');
  const isInsecure = cluster['insecure-skip-tls-verify'] === true;
  if (url.protocol === 'http:' && (ca !== undefined || cert !== undefined || isInsecure)) {
    throw fail(`the server is ${url.origin}: certificates are of use with https:// only`);
  }
  if (isInsecure && trust === 'secure' && !isLoopback(hostOf(url))) {
    throw fail('insecure-skip-tls-verify: anybody could answer as this server; give its certificate-authority');
  }
  if (isInsecure && ca !== undefined) {
    throw fail('certificate-authority and insecure-skip-tls-verify contradict each other: give one of them');
  }
  if (ca !== undefined) checkAuthority(ca, fail);
  if ((cert === undefined) !== (key === undefined)) {
    throw fail(`${cert === undefined ? 'client-key needs client-certificate' : 'client-certificate needs client-key'}`);
  }
  if (cert !== undefined) checkPair(flag, `${path}: client-certificate`, cert, `${path}: client-key`, key!);
  return {
    url,
    tls: {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert, key: key! }),
      ...(servername === '' ? {} : { servername }),
      ...(isInsecure ? { rejectUnauthorized: false } : {}),
    },
    authorization: authorizationOf(user, flag, beside, clock, fail),
  };
}

type Fail = (problem: string) => UsageError;

function currentContext(text: string, fail: Fail): { readonly cluster: Json; readonly user: Json } {
  let config: unknown;
  try {
    config = parse(text);
  } catch {
    throw fail('not a kubeconfig: it is no YAML'); // what the parser says shows lines, and they may hold secrets
  }
  if (!isObject(config)) throw fail('not a kubeconfig: expected clusters, users, contexts and current-context');
  const named = (list: string, member: string, name: string): Json => {
    const all = config[list];
    const entry = Array.isArray(all) ? all.find((one) => isObject(one) && one['name'] === name) : undefined;
    const value = (entry as Json | undefined)?.[member];
    if (!isObject(value)) throw fail(`${list} has no ${JSON.stringify(name)}`);
    return value;
  };
  const current = textMember(config, 'current-context');
  if (current === '') throw fail('current-context is missing: it names the context, and so the server, to use');
  const context = named('contexts', 'context', current);
  const userName = textMember(context, 'user');
  const cluster = named('clusters', 'cluster', textMember(context, 'cluster'));
  const user = userName === '' ? {} : named('users', 'user', userName);
  for (const name of NOT_SUPPORTED) {
    if (user[name] !== undefined) {
      throw fail(
        `user ${JSON.stringify(userName)}: ${name} is not supported; expected a client certificate or a token`,
      );
    }
  }
  if (textMember(cluster, 'proxy-url') !== '') throw fail('proxy-url is not supported');
  return { cluster, user };
}

function serverUrl(cluster: Json, trust: KubeconfigTrust, fail: Fail): URL {
  const server = textMember(cluster, 'server');
  if (server === '') throw fail('the cluster has no server: expected a URL such as https://webhook.example/authorize');
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw fail(`server ${JSON.stringify(server)}: expected a URL such as https://webhook.example/authorize`);
  }
  if (url.username !== '' || url.password !== '') throw fail('server: expected a URL without a user');
  if (url.protocol === 'http:' && trust === 'secure' && !isLoopback(hostOf(url))) {
    throw fail(`server ${JSON.stringify(server)}: anybody on the way could read tokens and answer; expected https://`);
  }
  return url;
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '');
}

function checkAuthority(pem: string, fail: Fail): void {
  try {
    new X509Certificate(pem);
  } catch {
    throw fail('certificate-authority is not a certificate in PEM form');
  }
}

function authorizationOf(
  user: Json,
  flag: string,
  beside: (name: string) => string,
  clock: Clock,
  fail: Fail,
): KubeconfigServer['authorization'] {
  const file = textMember(user, 'tokenFile');
  const token = textMember(user, 'token');
  const name = textMember(user, 'username');
  if (file !== '') {
    const path = beside(file);
    let read = readNamed(flag, path).trim();
    let readMs = clock.monotonicMs();
    if (read === '') throw fail(`tokenFile ${path} is empty`);
    return () => {
      if (clock.monotonicMs() - readMs >= TOKEN_FILE_MS) {
        readMs = clock.monotonicMs();
        read = newToken(path) ?? read;
      }
      return `Bearer ${read}`;
    };
  }
  if (token !== '') return () => `Bearer ${token}`;
  if (name !== '') {
    const basic = `Basic ${Buffer.from(`${name}:${textMember(user, 'password')}`).toString('base64')}`;
    return () => basic;
  }
  return () => undefined;
}

/** undefined: there is none now; the one before goes on counting. */
function newToken(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}
