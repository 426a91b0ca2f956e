import { generate } from 'selfsigned';
import { Agent, request } from 'node:https';

export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** An authority of its own, which signs certificates of clients. */
export async function authority(name: string) {
  const own = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, digitalSignature: true, critical: true },
    ],
  });
  return {
    pem: own.cert,
    /** `names`: O, in turn. */
    async client(
      commonName: string,
      names: readonly string[] = [],
      purpose: 'client' | 'server' | 'authority' = 'client',
    ): Promise<Pair> {
      const subject = [
        { name: 'commonName', value: commonName },
        ...names.map((value) => ({ name: 'organizationName', value })),
      ];
      const made = await generate(subject, {
        keyType: 'ec',
        algorithm: 'sha256',
        ca: { key: own.private, cert: own.cert },
        extensions:
          purpose === 'authority'
            ? [{ name: 'basicConstraints', cA: true, critical: true }]
            : [{ name: 'extKeyUsage', clientAuth: purpose === 'client', serverAuth: purpose === 'server' }],
      });
      return { cert: made.cert, key: made.private };
    },
    /** For a server on this machine, by any of its names. */
    async server(): Promise<Pair> {
      const made = await generate([{ name: 'commonName', value: 'localhost' }], {
        keyType: 'ec',
        algorithm: 'sha256',
        ca: { key: own.private, cert: own.cert },
        extensions: [
          { name: 'extKeyUsage', serverAuth: true },
          {
            name: 'subjectAltName',
            altNames: [
              { type: 2, value: 'localhost' },
              { type: 7, ip: '127.0.0.1' },
            ],
          },
        ],
      });
      return { cert: made.cert, key: made.private };
    },
  };
}

export interface Reply {
  readonly code: number;
  readonly headers: Record<string, unknown>;
  readonly body: string;
  readonly bytes: Buffer;
}

export interface Asked {
  readonly method?: string;
  readonly headers?: Record<string, string | readonly string[]>;
  readonly client?: Pair;
  readonly body?: string | Uint8Array;
}

/** One request over TLS, on a connection of its own. */
export function ask(port: number, path: string, { method, headers, client, body }: Asked = {}): Promise<Reply> {
  const agent = new Agent({ rejectUnauthorized: false, ...client });
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port, path, method, headers: headers as Record<string, string>, agent },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          agent.destroy();
          resolve({
            code: response.statusCode!,
            headers: response.headers,
            body: Buffer.concat(chunks).toString('utf8'),
            bytes: Buffer.concat(chunks),
          });
        });
        response.on('error', reject);
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}
