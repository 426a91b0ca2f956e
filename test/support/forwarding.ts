import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { authority } from '../auth/support.js';
import { eventually, freePort, type RunningCommand, repositoryRoot, start } from './command.js';
import { type Etcd, startEtcd } from './etcd.js';
import { buildGoPrograms } from './go-programs.js';

/**
 * listwatch in front of the Go peer, both on one etcd: reads are listwatch's, everything else goes to the peer, which believes
 * what listwatch says of the user. `t-jane` is the token of a writer, `t-bob` that of one who may only read.
 */
export interface ForwardingServers {
  readonly etcd: Etcd;
  /** Of listwatch, over HTTPS. */
  readonly url: string;
  readonly port: number;
  /** Plain HTTP of the peer, where everybody may read. */
  readonly peerUrl: string;
  readonly ours: RestartableServer;
  readonly peer: RestartableServer;
  stop(): Promise<void>;
}

export interface RestartableServer {
  /** kill -9. */
  kill(): Promise<void>;
  /** At the same address; resolves once it is ready. */
  start(): Promise<void>;
  log(): string;
}

export async function startForwardingServers(more: readonly string[] = []): Promise<ForwardingServers> {
  const bin = await buildGoPrograms('peer');
  const folder = await mkdtemp(join(tmpdir(), 'listwatch-forward-'));
  const file = async (name: string, text: string) => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };
  const served = await generate([{ name: 'commonName', value: 'peer' }], {
    keyType: 'ec',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
  });
  const proxies = await authority('front-proxy-ca');
  const proxy = await proxies.client('front-proxy-client');
  const [peerCert, peerKey] = [await file('peer.crt', served.cert), await file('peer.key', served.private)];
  const [proxyCert, proxyKey] = [await file('proxy.crt', proxy.cert), await file('proxy.key', proxy.key)];
  const proxyCa = await file('proxy-ca.crt', proxies.pem);
  const tokens = await file('tokens.csv', 't-jane,jane,u1,writers\nt-bob,bob,u2\nt-ann,ann,u3,system:masters\n');
  const etcd = await startEtcd();
  const ports = {
    peer: await freePort(),
    peerTls: await freePort(),
    plain: await freePort(),
    secure: await freePort(),
  };
  const peerUrl = `http://127.0.0.1:${ports.peer}`;
  const plainUrl = `http://127.0.0.1:${ports.plain}`;
  const peer = restartable(`${peerUrl}/readyz`, () =>
    start(join(bin, 'peer'), [
      ...['-etcd', etcd.endpoint, '-http', `127.0.0.1:${ports.peer}`, '-tls-port', String(ports.peerTls)],
      ...['-tls-cert-file', peerCert, '-tls-private-key-file', peerKey],
      ...['-requestheader-client-ca-file', proxyCa, '-requestheader-allowed-names', 'front-proxy-client'],
    ]),
  );
  const ours = restartable(`${plainUrl}/readyz`, () =>
    start(process.execPath, [
      ...[join(repositoryRoot, 'dist/src/cli/main.js'), 'serve', '--etcd-servers', etcd.endpoint],
      ...['--insecure-port', String(ports.plain), '--secure-port', String(ports.secure)],
      ...['--token-auth-file', tokens, '--anonymous-auth', 'false'],
      ...['--forward-to', `https://127.0.0.1:${ports.peerTls}`, '--forward-to-ca-file', peerCert],
      ...['--proxy-client-cert-file', proxyCert, '--proxy-client-key-file', proxyKey],
      ...more,
    ]),
  );
  try {
    await Promise.all([peer.start(), ours.start()]);
  } catch (error) {
    await Promise.all([peer.kill(), ours.kill()]);
    await etcd.stop();
    throw error;
  }
  return {
    etcd,
    url: `https://127.0.0.1:${ports.secure}`,
    port: ports.secure,
    peerUrl,
    ours,
    peer,
    async stop() {
      await ours.kill();
      await peer.kill();
      await etcd.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function restartable(readyUrl: string, run: () => RunningCommand): RestartableServer {
  let running: RunningCommand | undefined;
  return {
    async kill() {
      running?.child.kill('SIGKILL');
      await running?.exited;
    },
    async start() {
      const started = run();
      running = started;
      const isReady = async () => started.child.exitCode !== null || (await fetch(readyUrl)).ok;
      await eventually(readyUrl, isReady, 120_000, 50);
      if (started.child.exitCode !== null) throw new Error(`the server has ended: ${started.stderr().slice(-2_000)}`);
    },
    log: () => running?.stderr() ?? '',
  };
}
