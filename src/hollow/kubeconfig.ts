import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { readNamed } from '../app/certificates.js';
import { oneLine, UsageError } from '../app/usage-error.js';
import type { ApiServer } from './api-client.js';

type Entry = Readonly<Record<string, unknown>>;

const FLAG = 'kubeconfig';

/**
 * The server of a kubeconfig's current context, and the credentials of its user: certificates, a token, or a password.
 * Throws UsageError; plugins that fetch credentials are not run.
 */
export function readKubeconfig(path: string): ApiServer {
  const problem = (text: string) => new UsageError(`--${FLAG} ${path}: ${text}`);
  let config: Entry;
  try {
    config = (parse(readNamed(FLAG, path)) ?? {}) as Entry;
  } catch (error) {
    throw error instanceof UsageError ? error : problem(oneLine(error));
  }
  const named = (list: string, name: unknown, member: string): Entry => {
    const entries = Array.isArray(config[list]) ? (config[list] as Entry[]) : [];
    const found = entries.find((entry) => entry['name'] === name)?.[member];
    if (typeof found !== 'object' || found === null) throw problem(`there is no ${member} ${JSON.stringify(name)}`);
    return found as Entry;
  };
  if (typeof config['current-context'] !== 'string') throw problem('there is no current-context');
  const context = named('contexts', config['current-context'], 'context');
  const cluster = named('clusters', context['cluster'], 'cluster');
  const user = context['user'] === undefined ? {} : named('users', context['user'], 'user');
  for (const plugin of ['exec', 'auth-provider']) {
    if (user[plugin] !== undefined) throw problem(`${plugin} is not supported: give the user a token or a certificate`);
  }
  const text = (entry: Entry, member: string) => (typeof entry[member] === 'string' ? entry[member] : undefined);
  const content = (entry: Entry, member: string): string | undefined => {
    const data = text(entry, `${member}-data`);
    if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
    const file = text(entry, member);
    return file === undefined ? undefined : readNamed(FLAG, resolve(dirname(path), file));
  };
  const server = text(cluster, 'server') ?? '';
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.pathname !== '/') {
    throw problem(`server ${JSON.stringify(server)}: expected a URL such as https://127.0.0.1:6443`);
  }
  const [ca, cert, key] = [
    content(cluster, 'certificate-authority'),
    content(user, 'client-certificate'),
    content(user, 'client-key'),
  ];
  const servername = text(cluster, 'tls-server-name');
  const authorization = authorizationOf(user, text, (file) => readNamed(FLAG, resolve(dirname(path), file)));
  return {
    url: url.origin,
    ...(authorization === undefined ? {} : { headers: { authorization } }),
    tls: {
      rejectUnauthorized: cluster['insecure-skip-tls-verify'] !== true,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(servername === undefined ? {} : { servername }),
    },
  };
}

function authorizationOf(
  user: Entry,
  text: (entry: Entry, member: string) => string | undefined,
  read: (file: string) => string,
): string | undefined {
  const file = text(user, 'tokenFile');
  const token = text(user, 'token') ?? (file === undefined ? undefined : read(file).trim());
  if (token !== undefined) return `Bearer ${token}`;
  const name = text(user, 'username');
  if (name === undefined) return undefined;
  return `Basic ${Buffer.from(`${name}:${text(user, 'password') ?? ''}`).toString('base64')}`;
}
