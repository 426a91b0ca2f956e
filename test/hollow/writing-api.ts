import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KubeObject } from '../../src/app/sample/objects.js';
import { findKind } from '../../src/codec/kinds.js';
import type { ReadObject } from '../../src/hollow/answers.js';
import { Meters } from '../../src/hollow/meters.js';
import { ServerUnderTest } from '../../src/hollow/server-under-test.js';
import { StoreWriter } from '../../src/hollow/store-writer.js';
import { WriteRefused } from '../../src/hollow/writer.js';
import { systemClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';
import { seededRandom } from '../../src/lib/random.js';

export const TOKEN = 'let-me-in';

export interface WritingApi extends AsyncDisposable {
  readonly url: string;
  /** `<verb> <resource>[/<subresource>] <content type>` of all writes, each once. */
  readonly writes: Set<string>;
  /** GETs whose path and query match are answered with 503. */
  broken: RegExp | undefined;
}

/**
 * An API server as far as a hollow cluster can tell: it reads from listwatch and takes writes as kube-apiserver's paths and
 * verbs have them. It has no validation, admission or controllers.
 */
export async function startWritingApi(): Promise<WritingApi> {
  const listwatch = await ServerUnderTest.start({}, '0.0.0', systemClock, 60_000);
  const meters = new Meters(systemClock, defaultLimits);
  const writer = new StoreWriter(listwatch.store, '/registry', { meters, clock: systemClock, random: seededRandom(1) });
  const writes = new Set<string>();

  const forward = (incoming: IncomingMessage, response: ServerResponse) => {
    const outgoing = request(
      listwatch.url + incoming.url,
      { headers: { accept: incoming.headers.accept } },
      (answer) => {
        response.writeHead(answer.statusCode!, answer.headers);
        response.flushHeaders();
        answer.pipe(response);
      },
    );
    outgoing.on('error', () => response.destroy());
    response.on('close', () => outgoing.destroy());
    outgoing.end();
  };

  const write = async (incoming: IncomingMessage, body: Body): Promise<object> => {
    const path =
      /^\/(?:api|apis\/([^/]+))\/([^/]+)(?:\/namespaces\/([^/]+)(?=\/[^/]))?\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/;
    const [, group = '', version = '', namespace, resource = '', name = '', subresource] = path.exec(incoming.url!)!;
    const kind = findKind(group, version, resource)!;
    const ref = { kind, namespace, name };
    writes.add(`${incoming.method} ${resource}${subresource === undefined ? '' : `/${subresource}`}`);
    switch (incoming.method) {
      case 'POST':
        if (subresource !== 'binding') return writer.create(body as unknown as KubeObject);
        await writer.bind(ref, body.target!.name);
        return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' };
      case 'PUT':
        return writer.update(body as unknown as ReadObject);
      case 'PATCH':
        return writer.patch(ref, body);
      default:
        await writer.delete(ref, body.gracePeriodSeconds ?? 30);
        return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' };
    }
  };

  const server = createServer((incoming, response) => {
    const answer = (status: number, object: object) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(object));
    };
    if (incoming.headers.authorization !== `Bearer ${TOKEN}`) return answer(401, { message: 'Unauthorized' });
    if (incoming.method === 'GET' && api.broken?.test(incoming.url!)) return answer(503, { message: 'not now' });
    if (incoming.method === 'GET') return forward(incoming, response);
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.once('end', () => {
      write(incoming, JSON.parse(Buffer.concat(chunks).toString()) as Body).then(
        (object) => answer(incoming.method === 'POST' ? 201 : 200, object),
        (error: unknown) => {
          const message = (error as Error).message;
          const status = error instanceof WriteRefused ? (message.endsWith('not found') ? 404 : 409) : 500;
          answer(status, { message });
        },
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const api: WritingApi = {
    broken: undefined,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    writes,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await listwatch.stop();
    },
  };
  return api;
}

interface Body {
  readonly target?: { readonly name: string };
  readonly gracePeriodSeconds?: number;
}
