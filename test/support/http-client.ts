import { request as httpsRequest } from 'node:https';
import { Agent, type IncomingHttpHeaders, request as httpRequest } from 'node:http';

/** A request to the byte: node's own client, which neither follows, decompresses nor adds headers of its own. */
export interface RawRequest {
  readonly method?: string;
  /** With the query, as it goes on the wire. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** `cut`: the connection ended in the middle of the body. `late`: we gave up waiting for the end. */
  readonly end: 'complete' | 'cut' | 'late';
}

export function createAgent(connectionsMax: number): Agent {
  return new Agent({ keepAlive: true, maxSockets: connectionsMax });
}

/** Resolves with what came, however it ended; rejects only when there was no answer at all. */
export function send(base: string, request: RawRequest, agent?: Agent, timeoutMs = 30_000): Promise<Answer> {
  const { hostname, port, protocol } = new URL(base);
  return new Promise((resolve, reject) => {
    const outgoing = (protocol === 'https:' ? httpsRequest : httpRequest)({
      ...(protocol === 'https:' ? { rejectUnauthorized: false } : {}),
      hostname,
      port,
      method: request.method ?? 'GET',
      path: request.path,
      headers: {
        ...(request.body === undefined ? {} : { 'content-length': Buffer.byteLength(request.body) }),
        ...request.headers,
      },
      ...(agent === undefined ? { agent: false as const } : { agent }),
    });
    const chunks: Buffer[] = [];
    let answer: Omit<Answer, 'end' | 'body'> | undefined;
    const finish = (end: Answer['end']) => {
      clearTimeout(timer);
      if (answer !== undefined) resolve({ ...answer, body: Buffer.concat(chunks), end });
    };
    const timer = setTimeout(() => {
      if (answer === undefined) reject(new Error(`no answer within ${timeoutMs} ms: ${request.path.slice(0, 200)}`));
      finish('late');
      outgoing.destroy();
    }, timeoutMs);
    outgoing.once('response', (response) => {
      answer = { status: response.statusCode ?? 0, headers: response.headers };
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('end', () => finish('complete'));
      response.once('error', () => finish('cut'));
    });
    outgoing.on('error', (error) => {
      clearTimeout(timer);
      if (answer === undefined) reject(error);
      else finish('cut');
    });
    outgoing.end(request.body);
  });
}

/** `GET /path` with a JSON body parsed, for probes. */
export async function getJson(base: string, path: string, headers: Record<string, string> = {}): Promise<unknown> {
  const answer = await send(base, { path, headers: { accept: 'application/json', ...headers } });
  return JSON.parse(answer.body.toString()) as unknown;
}

/** Of a document: its status, some of its headers, and whether it has an entity tag, which is a hash of what differs. */
export function documentHeaders({ status, headers }: Answer, names: readonly string[]) {
  return {
    status,
    ...Object.fromEntries(names.map((name) => [name, headers[name]])),
    etag: headers['etag']?.replace(/[0-9A-F]{128}/, 'HASH'),
  };
}
