import { lookup } from 'node:dns/promises';
import { createServer } from 'node:net';
import type { HttpServer } from '../http/server.js';
import type { KeyPair } from './certificates.js';
import type { Config, Listener } from './config.js';
import { oneLine, UsageError } from './usage-error.js';
import { isLoopback } from './values.js';

export interface Listening {
  readonly url: string;
  /** The port that was in use, when this is another one. */
  readonly wanted: number | undefined;
}

/** Opens a listener; a port in use is replaced by a free one only where nobody asked for it by number. */
export async function openListener(
  listener: Listener,
  flag: string,
  scheme: 'http' | 'https',
  open: (host: string, port: number) => ReturnType<HttpServer['listenInsecure']>,
): Promise<Listening> {
  const { address, port, elsewhere } = listener;
  try {
    return { url: urlOf(scheme, address, (await open(address, port)).port), wanted: undefined };
  } catch (error) {
    if (codeOf(error) !== 'EADDRINUSE' || !elsewhere) throw problem(error, flag, listener);
  }
  try {
    return { url: urlOf(scheme, address, (await open(address, 0)).port), wanted: port };
  } catch (error) {
    throw problem(error, flag, listener);
  }
}

/** Before a long load: says at once when a port that was asked for cannot be had. */
export async function checkPorts(config: Config): Promise<void> {
  for (const [flag, listener] of [
    ['secure-port', config.secure],
    ['insecure-port', config.insecure],
  ] as const) {
    if (listener !== undefined) await checkAddress(listener.address);
    if (listener === undefined || listener.elsewhere || listener.port === 0) continue;
    await new Promise<void>((resolve, reject) => {
      const probe = createServer();
      probe.once('error', (error) => reject(problem(error, flag, listener)));
      probe.listen(listener.port, listener.address, () => probe.close(() => resolve()));
    });
  }
}

/** `localhost` is what the hosts file says it is. Where that is no loopback address, nobody has looked at who may ask there. */
export async function checkAddress(
  address: string,
  resolve: (name: string) => Promise<readonly { readonly address: string }[]> = (name) => lookup(name, { all: true }),
): Promise<void> {
  if (address !== 'localhost') return;
  const found = await resolve(address).catch(() => []); // to listen there will say what is wrong
  const other = found.find((one) => !isLoopback(one.address));
  if (other === undefined) return;
  throw new UsageError(`localhost is ${other.address} on this machine, which is no loopback address: give 127.0.0.1`);
}

/** `ca`: in PEM form, of clients' certificates; empty: clients are not asked for any. */
export async function openListeners(
  http: HttpServer,
  config: Config,
  pair: KeyPair | undefined,
  ca: readonly string[],
) {
  const { insecure, secure } = config;
  return {
    insecure:
      insecure === undefined
        ? undefined
        : await openListener(insecure, 'insecure-port', 'http', (host, port) => http.listenInsecure(host, port)),
    secure:
      secure === undefined || pair === undefined
        ? undefined
        : await openListener(secure, 'secure-port', 'https', (host, port) =>
            http.listenSecure(host, port, { ...pair, ...secure.protocol, ...(ca.length === 0 ? {} : { ca }) }),
          ),
  };
}

function urlOf(scheme: string, address: string, port: number): string {
  return `${scheme}://${address.includes(':') ? `[${address}]` : address}:${port}`;
}

function problem(error: unknown, flag: string, { address, port }: Listener): UsageError {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'in use by another process; give another one, or 0 for none',
    EACCES: 'not permitted; take one above 1023',
    EADDRNOTAVAIL: `this machine has no address ${address}`,
  };
  return new UsageError(`--${flag} ${port}: ${reasons[codeOf(error)] ?? oneLine(error)}`);
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? '';
}
