import { generate } from 'selfsigned';
import { Agent, request } from 'node:https';

export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** What a certificate may say besides who it is. */
export interface CertificateOptions {
  /** Default `client`. */
  readonly purpose?: 'client' | 'server' | 'authority';
  readonly from?: Date;
  readonly until?: Date;
}

/** Each part of a name and its value, by the parts' short names or numbers: `['CN', 'jane'], ['O', 'devs']`. */
export type Subject = readonly (readonly [part: string, value: string])[];

const AUTHORITY: NonNullable<NonNullable<Parameters<typeof generate>[1]>['extensions']> = [
  { name: 'basicConstraints', cA: true, critical: true },
  { name: 'keyUsage', keyCertSign: true, digitalSignature: true, critical: true },
];

export interface Authority {
  readonly pem: string;
  /** Its certificate is followed by those that lead to the root. */
  sign(subject: Subject, options?: CertificateOptions): Promise<Pair>;
  below(name: string): Promise<Authority>;
  /** `names`: O, in turn. */
  client(commonName: string, names?: readonly string[], purpose?: CertificateOptions['purpose']): Promise<Pair>;
  /** For a server on this machine, by any of its names. */
  server(): Promise<Pair>;
}

/** An authority of its own, or below another one, which signs certificates of clients. `path`: those between it and the root. */
export async function authority(
  name: string,
  above?: { readonly ca: Pair; readonly path: string },
): Promise<Authority> {
  const common = { keyType: 'ec', algorithm: 'sha256' } as const;
  const subject = [{ name: 'commonName', value: name }];
  const below = above === undefined ? {} : { ca: above.ca };
  const made = await generate(subject, { ...common, extensions: AUTHORITY, ...below });
  const ca: Pair = { cert: made.cert, key: made.private };
  const path = above === undefined ? '' : `${ca.cert}\n${above.path}`;
  const sign: Authority['sign'] = async (subject, { purpose = 'client', from, until } = {}) => {
    const attributes = subject.map(([part, value]) => ({ name: part, value }));
    const signed = await generate(attributes, {
      ...common,
      ca,
      ...(from === undefined ? {} : { notBeforeDate: from }),
      ...(until === undefined ? {} : { notAfterDate: until }),
      extensions:
        purpose === 'authority'
          ? [{ name: 'basicConstraints', cA: true, critical: true }]
          : [{ name: 'extKeyUsage', clientAuth: purpose === 'client', serverAuth: purpose === 'server' }],
    });
    return { cert: `${signed.cert}\n${path}`, key: signed.private };
  };
  return {
    pem: ca.cert,
    sign,
    below: (other: string) => authority(other, { ca, path }),
    client: (commonName, names = [], purpose = 'client') =>
      sign([['CN', commonName], ...names.map((value) => ['O', value] as const)], { purpose }),
    async server() {
      const signed = await generate([{ name: 'commonName', value: 'localhost' }], {
        ...common,
        ca,
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
      return { cert: signed.cert, key: signed.private };
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
  /** An array: names and values in turn, as they go on the wire; then Host is one of them. */
  readonly headers?: Record<string, string | readonly string[]> | readonly string[];
  readonly client?: Pair;
  /** Keeps connections, and has the certificate of the client; absent: a connection of its own. */
  readonly agent?: Agent;
  readonly body?: string | Uint8Array;
}

/** One request over TLS. */
export function ask(port: number, path: string, asked: Asked = {}): Promise<Reply> {
  const { method, headers, client, body } = asked;
  const agent = asked.agent ?? new Agent({ rejectUnauthorized: false, ...client });
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port, path, method, headers: headers as Record<string, string>, agent },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          if (asked.agent === undefined) agent.destroy();
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
