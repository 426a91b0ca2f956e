import type { IncomingMessage } from 'node:http';
import { AUTHENTICATED } from '../../auth/identity.js';
import type { Clock } from '../../lib/clock.js';
import type { Limits } from '../../lib/limits.js';
import type { TargetConnections } from './target.js';

export interface TargetDocuments {
  readonly target: TargetConnections;
  readonly clock: Clock;
  readonly limits: Limits;
}

/** Everybody who is authenticated may read discovery and OpenAPI: the ClusterRole system:discovery. */
const READER = 'system:listwatch';

/** Reads a JSON document of the target for listwatch itself. Rejects unless it comes whole, in time and with 200. */
export function readTargetDocument(
  { target, clock, limits }: TargetDocuments,
  path: string,
  accept: string,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const headers = { accept, 'x-remote-user': READER, 'x-remote-group': AUTHENTICATED };
    const asked = target.request({ method: 'GET', path, headers: { host: target.host, ...headers } });
    const timer = clock.setTimer(limits.forwardDiscoveryTimeoutMs, () => asked.destroy(new Error('no answer in time')));
    asked.on('error', reject);
    asked.on('close', () => {
      timer.cancel();
      reject(new Error('the answer broke off'));
    });
    asked.on('response', (incoming: IncomingMessage) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      incoming.on('error', reject);
      incoming.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > limits.forwardDiscoveryBytesMax) asked.destroy(new Error('the answer is too large'));
        else chunks.push(chunk);
      });
      incoming.on('end', () => {
        if (!incoming.complete) return;
        if (incoming.statusCode !== 200)
          return reject(new Error(`the answer to GET ${path} is ${incoming.statusCode}`));
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')));
        } catch (error) {
          reject(error);
        }
      });
    });
    asked.end();
  });
}
