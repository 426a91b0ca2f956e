import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ask, listOf, metricSum, openWatch } from '../robustness/client.js';
import { configMap, configMapKey, golden } from '../robustness/objects.js';
import { eventually } from '../support/command.js';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { type EtcdKv, etcdKv } from '../support/etcd-kv.js';
import { type RunningServer, startServer } from '../support/server.js';

// The real binary, killed and stopped under writes, with a client that only ever resumes.

const path = '/api/v1/configmaps';
const COUNT = 300;

/** As client-go's reflector: one LIST, then watches, each from the last revision seen. It has no second LIST. */
class Client {
  readonly seen: string[] = [];
  readonly problems: string[] = [];
  watches = 0;
  revision = '';
  #stopped = false;
  #done: Promise<void> | undefined;

  start(url: () => string, revision: string): void {
    this.revision = revision;
    this.#done = this.#run(url);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  async #run(url: () => string): Promise<void> {
    while (!this.#stopped) {
      const from = `${path}?watch=1&resourceVersion=${this.revision}&timeoutSeconds=600`;
      const watch = await openWatch(url(), from).catch(() => undefined); // Nobody listens yet.
      if (watch?.status === 200) this.watches++;
      else if (watch !== undefined) this.problems.push(`the watch from ${this.revision} is answered ${watch.status}`);
      for (let taken = 0; watch !== undefined; ) {
        for (; taken < watch.events.length; taken++) {
          const { type, object } = watch.events[taken]!;
          if (type === 'ERROR') this.problems.push(`${object.reason}: ${object.message}`);
          else this.seen.push(`${type} ${object.metadata.name} @${object.metadata.resourceVersion}`);
          this.revision = object.metadata.resourceVersion ?? this.revision;
        }
        if (watch.ended !== undefined && taken === watch.events.length) break;
        if (this.#stopped) return watch.close();
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Creates, updates and deletes without a pause, and says what a watch must show. */
class Writer {
  readonly done: string[] = [];
  #stopped = false;
  readonly #finished: Promise<void>;

  constructor(kv: EtcdKv) {
    this.#finished = this.#run(kv);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#finished;
  }

  async #run(kv: EtcdKv): Promise<void> {
    for (let round = 0; !this.#stopped; round++) {
      const [old, made] = [`c${round % COUNT}`, `new-${round}`];
      const put = (name: string) => kv.put(configMapKey('ns', name), configMap('ns', name, { round: `${round}` }));
      this.done.push(`MODIFIED ${old} @${await put(old)}`);
      this.done.push(`ADDED ${made} @${await put(made)}`);
      this.done.push(`DELETED ${made} @${await kv.delete(configMapKey('ns', made))}`);
    }
  }
}

async function filledEtcd(): Promise<{ readonly etcd: Etcd; readonly kv: EtcdKv }> {
  const etcd = await startEtcd();
  const kv = etcdKv(etcd.endpoint);
  const names = Array.from({ length: COUNT }, (_, index) => `c${index}`);
  await kv.putAll(names.map((name) => [configMapKey('ns', name), configMap('ns', name)]));
  await kv.put('/registry/secrets/ns/s', golden('Secret').stored);
  return { etcd, kv };
}

const flags = (etcd: Etcd, folder: string) => [
  ...['--etcd-servers', etcd.endpoint, '--cache-dir', folder, '--checkpoint-interval', '1s'],
  ...['--watch-cache-initialization', 'configmaps,secrets'],
];

test('kill -9 and an orderly restart under writes: a client resumes each time, without gap, doublet or LIST', {
  timeout: 120_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'listwatch-cache-'));
  const { etcd, kv } = await filledEtcd();
  let server: RunningServer = await startServer(flags(etcd, folder));
  const client = new Client();
  const started = listOf(await ask(server.url, path));
  assert.equal(started.items.length, COUNT);
  client.start(() => server.url, started.metadata.resourceVersion);
  const writer = new Writer(kv);
  const progress = async (events: number) => {
    const want = client.seen.length + events;
    await eventually(`${events} more events`, () => client.seen.length >= want);
  };
  try {
    for (const how of ['kill', 'kill', 'stop', 'stop'] as const) {
      const written = await metricSum(server.url, 'listwatch_checkpoint_writes_total');
      await progress(60);
      if (how === 'kill') {
        // A file from before the last writes: what came after it must come from etcd.
        await eventually('a checkpoint', async () => {
          return (await metricSum(server.url, 'listwatch_checkpoint_writes_total')) > written;
        });
        await progress(30);
        server.child.kill('SIGKILL');
        await server.exited;
      } else assert.equal(await server.stop(), 0);
      await new Promise((resolve) => setTimeout(resolve, 300)); // Changes that nobody sees.
      server = await startServer(flags(etcd, folder));
      // ConfigMaps and CustomResourceDefinitions.
      assert.equal(await metricSum(server.url, 'listwatch_checkpoint_restored_total'), 2, server.stderr());
      assert.match(server.stderr(), /goes on from its checkpoint: \d+ objects and \d+ changes at revision.*configmaps/);
      await progress(60);
    }
    await writer.stop();
    await eventually('the last event', () => client.seen.length >= writer.done.length);
    await client.stop();
    assert.deepEqual(client.problems, []);
    assert.deepEqual(client.seen, writer.done);
    assert.equal(client.watches, 5, 'one watch for each process');

    // What is in the folder.
    assert.equal(statSync(folder).mode & 0o777, 0o700);
    const files = readdirSync(folder).filter((name) => !name.endsWith('.tmp'));
    const kinds = ['configmaps.v1.checkpoint', 'customresourcedefinitions.apiextensions.k8s.io.v1.checkpoint'];
    assert.deepEqual(files, kinds, 'Secrets are cached, and not here');
    assert.equal(statSync(join(folder, files[0]!)).mode & 0o777, 0o600);
    assert.equal((await ask(server.url, '/api/v1/secrets')).status, 200);
  } finally {
    await writer.stop();
    await client.stop();
    await server.stop();
    await etcd.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a damaged checkpoint, one of a wiped store, and one that was compacted past: said, ignored, listed', {
  timeout: 120_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'listwatch-cache-'));
  const { etcd, kv } = await filledEtcd();
  const file = join(folder, 'configmaps.v1.checkpoint');
  const run = async (discarded: number, said: RegExp | undefined, count: number) => {
    const server = await startServer(flags(etcd, folder));
    try {
      const all = server
        .stderr()
        .split('\n')
        .filter((line) => line.includes('the checkpoint is not used'));
      // That of CustomResourceDefinitions, too, when it is the store that has gone on without it.
      assert.equal(await metricSum(server.url, 'listwatch_checkpoint_discarded_total'), all.length, server.stderr());
      const lines = all.filter((line) => line.includes('resource=configmaps'));
      assert.equal(lines.length, discarded);
      if (said !== undefined) assert.match(lines[0]!, said);
      assert.equal(listOf(await ask(server.url, path)).items.length, count);
    } finally {
      assert.equal(await server.stop(), 0);
    }
  };
  try {
    await run(0, undefined, COUNT);
    const good = readFileSync(file);
    const bad = Buffer.from(good);
    bad[good.length >> 1]! ^= 0x10;
    writeFileSync(file, bad);
    await run(1, /checksum of block/, COUNT);
    await run(0, undefined, COUNT);

    await kv.put(configMapKey('ns', 'one-more'), configMap('ns', 'one-more'));
    await kv.compact(await kv.revision());
    await run(1, /compacted/, COUNT + 1);

    // The same name, flags and ports: the same cluster id. It is filled beyond the old revision.
    await etcd.restart({ wipe: true });
    for (let round = 0; round < 5; round++) {
      await kv.putAll(
        Array.from({ length: COUNT }, (_, index) => [
          configMapKey('ns', `c${index}`),
          configMap('ns', `c${index}`, { round: `${round}` }),
        ]),
      );
    }
    await run(1, /the checkpoint is not used/, COUNT);
  } finally {
    await etcd.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
