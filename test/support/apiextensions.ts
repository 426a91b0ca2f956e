import assert from 'node:assert/strict';
import { join } from 'node:path';
import { eventually, freePort, start } from './command.js';
import { buildGoPrograms } from './go-programs.js';
import { send } from './http-client.js';

/** k8s.io/apiextensions-apiserver, which writes CRDs and custom resources as kube-apiserver does. */
export interface Apiextensions {
  /** HTTPS, self-signed certificate. */
  readonly url: string;
  /** POST, PUT, PATCH (a merge patch) or DELETE that must succeed; returns the answer. */
  write(method: string, path: string, object?: object): Promise<object>;
  stop(): Promise<unknown>;
}

export const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

export async function startApiextensions(etcdEndpoint: string, args: readonly string[] = []): Promise<Apiextensions> {
  const bin = await buildGoPrograms('apiextensions');
  const port = await freePort();
  const command = start(join(bin, 'apiextensions'), ['-etcd', etcdEndpoint, '-tls-port', String(port), ...args]);
  const url = `https://127.0.0.1:${port}`;
  const ready = async () => {
    if (command.child.exitCode !== null) throw new Error(command.stderr());
    // Who may not ask at all is told so as soon as it serves.
    return [200, 403].includes((await send(url, { path: '/readyz' })).status);
  };
  await eventually('apiextensions-apiserver is ready', ready, 60_000);
  return {
    url,
    async write(method, path, object) {
      const contentType = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
      const answer = await send(url, {
        method,
        path,
        headers: { 'content-type': contentType },
        ...(object === undefined ? {} : { body: JSON.stringify(object) }),
      });
      assert.ok(answer.status < 300, `${method} ${path}: ${answer.body}`);
      return JSON.parse(answer.body.toString()) as object;
    },
    stop: () => command.stop(),
  };
}
