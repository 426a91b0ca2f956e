import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Authority, authority } from '../auth/support.js';
import { eventually, freePort, type RunningCommand, start } from './command.js';
import { type Etcd, startEtcd } from './etcd.js';
import { buildGoPrograms } from './go-programs.js';
import { type Answer, type RawRequest, send } from './http-client.js';
import { type RunningServer, startServer } from './server.js';

export interface ControlPlaneOptions {
  /** Further flags of kube-apiserver, and of listwatch. */
  readonly apiserver?: readonly string[];
  readonly listwatch?: readonly string[];
  /** Of both (default `Node,RBAC`). */
  readonly authorizationMode?: string;
  /** listwatch passes on what it does not serve (default false). */
  readonly forward?: boolean;
}

/**
 * A real kube-apiserver (k8s.io/kubernetes, `test/kube-apiserver`) and listwatch on one etcd, which know the same users:
 *
 *     const world = await startControlPlane();
 *     await world.write('POST', '/api/v1/namespaces', { metadata: { name: 'a' } });
 *     const [theirs, ours] = await world.ask('/api/v1/namespaces/a');
 *     await world.stop();
 *
 * Tokens: `t-admin` (system:masters), `t-jane` (group `devs`), `t-bob` (no group). Client certificates are signed by `clientCa`.
 */
export interface ControlPlane {
  readonly etcd: Etcd;
  /** HTTPS. */
  readonly theirUrl: string;
  /** HTTPS, where users are known and authorized. */
  readonly ourUrl: string;
  readonly ours: RunningServer;
  readonly theirs: RunningCommand;
  /** Program with `kube-apiserver`, `kube-controller-manager` and `kube-scheduler`. */
  readonly program: string;
  /** Where keys, certificates and the token file lie. */
  readonly folder: string;
  /** Signs certificates of clients: `client('jane', ['devs'])`. */
  readonly clientCa: Authority;
  /** Signs those of front proxies, which must be called `front-proxy-client`. */
  readonly proxyCa: Authority;
  /** The same question to both, as the admin unless `headers` name someone else: theirs, then ours. */
  ask(path: string, headers?: Readonly<Record<string, string>>): Promise<readonly [Answer, Answer]>;
  /** One that kube-apiserver must take; its answer. A text is sent as it is. */
  write(method: string, path: string, object?: object | string): Promise<WrittenObject>;
  stop(): Promise<void>;
}

export interface WrittenObject {
  readonly metadata: { readonly name: string; readonly resourceVersion: string; readonly uid: string };
  readonly [field: string]: unknown;
}

export const ADMIN = { authorization: 'Bearer t-admin' };
const TOKENS = 't-admin,admin,u1,system:masters\nt-jane,jane,u2,devs\nt-bob,bob,u3\n';
/** Built-in groups of the newest kube-apiserver, of which each is an APIService that its aggregator serves a moment after it is ready. */
const GROUPS_MIN = 20;
const START_TIMEOUT_MS = 120_000;

export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const program = join(await buildGoPrograms('kube-apiserver'), 'kubernetes');
  const folder = await mkdtemp(join(tmpdir(), 'listwatch-control-plane-'));
  const file = async (name: string, text: string) => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };
  const keys = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const [clientCa, proxies] = [await authority('client-ca'), await authority('front-proxy-ca')];
  const proxy = await proxies.client('front-proxy-client');
  const known = [
    ...['--token-auth-file', await file('tokens.csv', TOKENS)],
    ...['--client-ca-file', await file('client-ca.crt', clientCa.pem)],
    ...['--requestheader-client-ca-file', await file('proxy-ca.crt', proxies.pem)],
    ...['--requestheader-allowed-names', 'front-proxy-client', '--requestheader-username-headers', 'X-Remote-User'],
    ...['--requestheader-group-headers', 'X-Remote-Group', '--requestheader-extra-headers-prefix', 'X-Remote-Extra-'],
    ...['--service-account-issuer', 'https://kubernetes.default.svc.cluster.local'],
    ...['--service-account-key-file', await file('sa.pub', keys.publicKey)],
    ...['--service-account-jwks-uri', 'https://issuer.example/openid/v1/jwks'],
    ...['--authorization-mode', options.authorizationMode ?? 'Node,RBAC'],
  ];
  const [proxyCert, proxyKey] = [await file('proxy.crt', proxy.cert), await file('proxy.key', proxy.key)];
  const signingKey = await file('sa.key', keys.privateKey);
  const etcd = await startEtcd();
  const running: { stop(): Promise<unknown> }[] = [etcd];
  const stop = async () => {
    for (const one of running.reverse()) await one.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const port = await freePort();
    const theirUrl = `https://127.0.0.1:${port}`;
    const theirs = start(program, [
      ...['kube-apiserver', '--etcd-servers', etcd.endpoint, '--bind-address', '127.0.0.1', '--secure-port', `${port}`],
      ...['--cert-dir', join(folder, 'apiserver'), '--service-cluster-ip-range', '10.96.0.0/16'],
      ...['--service-account-signing-key-file', signingKey, ...known, ...(options.apiserver ?? [])],
    ]);
    running.push(theirs);
    await eventually(
      'kube-apiserver is ready',
      async () => {
        if (theirs.child.exitCode !== null) throw new Error(theirs.stderr().slice(-4_000));
        const isReady = (await send(theirUrl, { path: '/readyz', headers: ADMIN })).status === 200;
        const { body } = await send(theirUrl, { path: '/apis', headers: ADMIN });
        return isReady && (JSON.parse(body.toString()) as { groups: unknown[] }).groups.length >= GROUPS_MIN;
      },
      START_TIMEOUT_MS,
    );
    const forwarding = [
      ...['--forward-to', theirUrl, '--forward-to-ca-file', join(folder, 'apiserver/apiserver.crt')],
      ...['--proxy-client-cert-file', proxyCert, '--proxy-client-key-file', proxyKey],
    ];
    const ours = await startServer([
      ...['--etcd-servers', etcd.endpoint, ...known],
      ...(options.forward === true ? forwarding : []),
      ...(options.listwatch ?? []),
    ]);
    running.push(ours);
    const agent = new Agent({ keepAlive: true });
    running.push({ stop: async () => agent.destroy() });
    const requestOf = (path: string, headers: RawRequest['headers']) => ({ path, headers: headers ?? ADMIN });
    return {
      ...{ etcd, theirUrl, ourUrl: ours.secureUrl, ours, theirs, program, folder, clientCa, proxyCa: proxies, stop },
      ask: (path, headers) =>
        Promise.all([theirUrl, ours.secureUrl].map((url) => send(url, requestOf(path, headers), agent))) as Promise<
          [Answer, Answer]
        >,
      async write(method, path, object) {
        const contentType = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
        const headers = { ...ADMIN, 'content-type': contentType };
        const text = typeof object === 'string' ? object : JSON.stringify(object);
        const body = object === undefined ? {} : { body: text };
        const answer = await send(theirUrl, { method, path, headers, ...body });
        assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.body}`);
        return JSON.parse(answer.body.toString()) as WrittenObject;
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
