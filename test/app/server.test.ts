import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { stringify } from 'yaml';
import { provideCertificate } from '../../src/app/certificates.js';
import { type AppParts, type RunningServer, startServer } from '../../src/app/compose.js';
import { type Config, type FlagValues, resolveConfig } from '../../src/app/config.js';
import { createLog } from '../../src/app/log.js';
import { createFakeClock, systemClock } from '../../src/lib/clock.js';
import { systemRandom } from '../../src/lib/random.js';

const folder = mkdtempSync(join(tmpdir(), 'listwatch-server-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const rejected: string[] = [];
const parts: AppParts = {
  clock: systemClock,
  random: systemRandom,
  log: createLog(0, 'json'),
  version: '0.0.0-test',
  reject: (line) => void rejected.push(line),
};

/** Free ports, whatever the flags say. */
function configOf(flags: FlagValues): Config {
  const config = resolveConfig({ 'cert-dir': join(folder, 'certs'), ...flags }, {});
  const free = <T extends object>(listener: T | undefined) =>
    listener === undefined ? undefined : { ...listener, port: 0 };
  return { ...config, insecure: free(config.insecure), secure: free(config.secure) };
}

async function served(flags: FlagValues, use: (url: string, server: RunningServer) => Promise<void>): Promise<void> {
  const server = await startServer(configOf(flags), parts);
  try {
    await use(server.listening.insecure?.url ?? '', server);
  } finally {
    await server.stop();
  }
}

// biome-ignore lint/suspicious/noExplicitAny: the answers of the server have every shape there is.
type Loose = any; // answers are read by path
const json = async (url: string): Promise<Loose> => (await fetch(url)).json();

test('the sample cluster is served: LIST, GET, selectors, and it moves', () =>
  served({ sample: 'nodes=4,pods=60,churn=50' }, async (url) => {
    const pods = await json(`${url}/api/v1/pods`);
    assert.equal(pods.kind, 'PodList');
    assert.ok(pods.items.length >= 55, `${pods.items.length} pods`);
    const [first] = pods.items;
    const one = await json(`${url}/api/v1/namespaces/${first.metadata.namespace}/pods/${first.metadata.name}`);
    assert.equal(one.metadata.uid, first.metadata.uid);
    const node = first.spec.nodeName;
    const onNode = await json(`${url}/api/v1/pods?fieldSelector=spec.nodeName%3D${node}`);
    assert.ok(onNode.items.length > 0);
    for (const pod of onNode.items) assert.equal(pod.spec.nodeName, node);
    const leases = await json(`${url}/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases`);
    assert.equal(leases.items.length, 4);
    const started = Number(pods.metadata.resourceVersion);
    for (let attempt = 0; attempt < 100; attempt++) {
      if (Number((await json(`${url}/api/v1/pods`)).metadata.resourceVersion) > started) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.fail('nothing changed within five seconds');
  }));

for (const twin of ['hash', 'btree', 'hash+btree', 'sorted-array']) {
  test(`--twin ${twin} on live traffic: every answer is compared, and none differs`, () =>
    served({ sample: 'nodes=4,pods=120,churn=200', twin }, async (url) => {
      const node = encodeURIComponent('spec.nodeName=');
      for (let round = 0; round < 15; round++) {
        const [pods] = await Promise.all([
          json(`${url}/api/v1/pods`),
          json(`${url}/api/v1/pods?limit=7&resourceVersion=0`),
          json(`${url}/api/v1/namespaces/default/pods?labelSelector=app`),
          json(`${url}/api/v1/pods?fieldSelector=${node}`),
          json(`${url}/apis/coordination.k8s.io/v1/leases`),
        ]);
        const { namespace, name } = pods.items[round % pods.items.length].metadata;
        await json(`${url}/api/v1/namespaces/${namespace}/pods/${name}`);
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
      const metrics = await (await fetch(`${url}/metrics`)).text();
      const count = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(metrics)?.[1]);
      assert.ok(count('listwatch_twin_comparisons_total') > 100, metrics.match(/.*twin.*/g)?.join('\n'));
      assert.equal(count('listwatch_twin_differences_total'), 0);
    }));
}

test('loaded objects are served as they were written, without the cache too', async () => {
  const path = join(folder, 'shop.yaml');
  writeFileSync(
    path,
    [
      'apiVersion: v1\nkind: List\nitems:',
      '- apiVersion: v1\n  kind: ConfigMap\n  metadata:\n    name: a\n    resourceVersion: "99"\n  data:\n    k: v',
      '- apiVersion: apps/v1\n  kind: Deployment\n  metadata:\n    name: d\n    namespace: shop\n  spec:\n    selector: {matchLabels: {app: d}}\n    template:\n      metadata: {labels: {app: d}}\n      spec: {containers: [{name: c, image: i, resources: {requests: {cpu: 100m}}}]}',
      '---\napiVersion: example.com/v1\nkind: Gadget\nmetadata: {name: g}\n',
    ].join('\n'),
  );
  rejected.length = 0;
  for (const cache of ['true', 'false']) {
    await served({ load: [path], 'load-ignore-errors': true, 'watch-cache': cache }, async (url, server) => {
      assert.deepEqual(server.loaded, {
        files: 1,
        objects: 2,
        repeated: 0,
        rejected: 1,
        namespacesMissing: ['default', 'shop'],
      });
      const map = await json(`${url}/api/v1/namespaces/default/configmaps/a`);
      assert.deepEqual(map.data, { k: 'v' });
      assert.notEqual(map.metadata.resourceVersion, '99');
      assert.match(map.metadata.uid, /^[0-9a-f-]{36}$/);
      const deployment = await json(`${url}/apis/apps/v1/namespaces/shop/deployments/d`);
      assert.equal(deployment.spec.template.spec.containers[0].resources.requests.cpu, '100m');
    });
  }
  assert.equal(rejected.length, 2);
  assert.match(
    rejected[0]!,
    /shop\.yaml: document 2 \(line \d+\): example\.com\/v1 Gadget: .*no CustomResourceDefinition before it defines it/,
  );
});

test('without --load-ignore-errors, one rejected object ends the start and frees what was opened', async () => {
  const path = join(folder, 'broken.yaml');
  writeFileSync(path, 'kind: Pod\n');
  await assert.rejects(startServer(configOf({ load: [path] }), parts), /--load: 1 of 1 objects rejected/);
});

test('HTTPS uses the self-signed certificate, kept private and reused', () =>
  served({ sample: 'nodes=1,pods=3,churn=0' }, async (_, { listening }) => {
    const certFile = join(folder, 'certs', 'apiserver.crt');
    const ca = readFileSync(certFile, 'utf8');
    for (const name of ['apiserver.crt', 'apiserver.key'])
      assert.equal(statSync(join(folder, 'certs', name)).mode & 0o777, 0o600);
    const call = request(`${listening.secure!.url}/api/v1/nodes`, { ca }).end();
    const [response] = await once(call, 'response');
    assert.equal(response.statusCode, 200);
    response.resume();
    await once(response, 'end');
    call.destroy();
  }));

test('a certificate is made anew when it is about to end, or does not name the address', async () => {
  const clock = createFakeClock(Date.now());
  const directory = join(folder, 'renewed');
  const made = await provideCertificate({ certDirectory: directory }, '127.0.0.1', clock.nowMs());
  assert.deepEqual(await provideCertificate({ certDirectory: directory }, '127.0.0.1', clock.nowMs()), made);
  const certificate = new X509Certificate(made.cert);
  assert.ok(certificate.checkHost('localhost') && certificate.checkIP('127.0.0.1') && certificate.checkIP('::1'));
  const other = await provideCertificate({ certDirectory: directory }, '127.0.0.7', clock.nowMs());
  assert.notEqual(other.cert, made.cert);
  assert.ok(new X509Certificate(other.cert).checkIP('127.0.0.7'));
  const later = await provideCertificate(
    { certDirectory: directory },
    '127.0.0.7',
    clock.nowMs() + 360 * 24 * 3_600_000,
  );
  assert.notEqual(later.cert, other.cert);
});

test('a server whose etcd is not there starts, answers /livez, and says that it is not ready', () =>
  served({ 'etcd-servers': 'http://127.0.0.1:1', 'insecure-port': '1' }, async (url) => {
    assert.equal((await fetch(`${url}/livez`)).status, 200);
    const ready = await fetch(`${url}/readyz`);
    assert.equal(ready.status, 500);
    assert.match(await ready.text(), /\[-\]etcd failed: reason withheld/);
    const pods = await fetch(`${url}/api/v1/pods?resourceVersion=0`);
    assert.equal(pods.status, 429);
    assert.equal(pods.headers.get('retry-after'), '1');
    assert.match(((await pods.json()) as Loose).message, /storage is \(re\)initializing/);
  }));

test('shutting down: /readyz fails first, then watches end cleanly and the ports are free', async () => {
  const server = await startServer(configOf({ sample: 'nodes=1,pods=3,churn=0' }), parts);
  const url = server.listening.insecure!.url;
  const watch = await fetch(`${url}/api/v1/pods?watch=true&resourceVersion=0`);
  const body = watch.text(); // rejects when the stream is cut instead of ended
  server.beginShutdown();
  assert.equal((await fetch(`${url}/readyz`)).status, 500);
  assert.equal((await fetch(`${url}/livez`)).status, 200);
  assert.equal((await fetch(`${url}/api/v1/pods`)).status, 200);
  await server.stop();
  assert.equal((await body).trim().split('\n').length, 3);
  await assert.rejects(fetch(`${url}/livez`));
});

test('caches that start with the server are waited for by /readyz', () =>
  served(
    { sample: 'nodes=1,pods=3,churn=0', 'watch-cache-initialization': 'pods,leases.coordination.k8s.io' },
    async (url) => {
      for (let attempt = 0; attempt < 100; attempt++) {
        if ((await fetch(`${url}/readyz/poststarthook/storage-readiness`)).ok) return;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      assert.fail('never ready');
    },
  ));

test('a dump of one server, loaded into another, gives the same objects, from YAML and from JSON', async () => {
  const paths = ['api/v1/pods', 'api/v1/nodes', 'api/v1/secrets', 'apis/apps/v1/replicasets', 'apis/batch/v1/cronjobs'];
  const read = async (url: string) => {
    const lists: Loose[] = [];
    for (const path of paths) lists.push(await json(`${url}/${path}`));
    return lists;
  };
  const bare = (lists: Loose[]) =>
    lists.map((list) =>
      list.items.map(({ metadata: { resourceVersion: _, ...metadata }, ...object }: Loose) => ({
        ...object,
        metadata,
      })),
    );
  const dump = join(folder, 'dump');
  mkdirSync(dump);
  let original: Loose[] = [];
  await served({ sample: 'nodes=3,pods=60,churn=0' }, async (url) => {
    original = await read(url);
    for (const [index, list] of original.entries()) {
      // As kubectl writes them: a List whose items say what they are; and as the API does: a typed list.
      const kind = list.kind.slice(0, -'List'.length);
      const items = list.items.map((object: Loose) => ({ apiVersion: list.apiVersion, kind, ...object }));
      const text =
        index % 2 === 0
          ? stringify({ apiVersion: 'v1', items, kind: 'List', metadata: { resourceVersion: '' } })
          : JSON.stringify(list);
      writeFileSync(join(dump, `${index}.${index % 2 === 0 ? 'yaml' : 'json'}`), text);
    }
  });
  await served({ load: [dump] }, async (url) => assert.deepEqual(bare(await read(url)), bare(original)));
});
