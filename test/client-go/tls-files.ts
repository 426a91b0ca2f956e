import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { authority } from '../auth/support.js';

/** An authority, and certificates by it for servers on this machine and for an administrator, as files. */
export interface TlsFiles extends AsyncDisposable {
  readonly folder: string;
  readonly ca: string;
  /** Flags of `listwatch serve`. */
  readonly server: readonly string[];
  /** Flags of the Go programs. */
  readonly client: readonly string[];
}

export async function writeTlsFiles(): Promise<TlsFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'listwatch-tls-'));
  const write = async (name: string, text: string) => {
    const path = join(folder, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  const own = await authority('listwatch-test-ca');
  const [server, client] = [await own.server(), await own.client('admin', ['system:masters'])];
  const ca = await write('ca.crt', own.pem);
  return {
    folder,
    ca,
    server: [
      ...['--client-ca-file', ca],
      ...['--tls-cert-file', await write('server.crt', server.cert)],
      ...['--tls-private-key-file', await write('server.key', server.key)],
    ],
    client: [
      ...['-ca-file', ca],
      ...['-cert-file', await write('client.crt', client.cert)],
      ...['-key-file', await write('client.key', client.key)],
    ],
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}
