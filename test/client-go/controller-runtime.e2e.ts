import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type RunningServer, startServer } from '../support/server.js';
import { pod, type Programs, startPrograms } from './programs.js';

// controller-runtime's cache with a field index, and a client that reads past it, as in a controller's manager.

let programs: Programs;
let ours: RunningServer;

before(async () => {
  programs = await startPrograms();
  await programs.writeRandom(1_000, 1);
  for (const node of ['', 'node-1', 'node-2']) {
    await programs.write(
      ['a', 'b'].map((name) => pod('fixed', `on-${node}-${name}`, node === '' ? {} : { nodeName: node })),
    );
  }
  ours = await startServer(['--etcd-servers', programs.etcd.endpoint]);
});
after(async () => {
  await ours?.stop();
  await programs?.[Symbol.asyncDispose]();
});

interface Line {
  readonly type: string;
  readonly objects?: number;
  readonly node?: string;
  readonly names?: readonly string[];
  readonly key?: string;
  readonly resourceVersion?: string;
}

for (const accept of ['protobuf', 'json']) {
  test(`the cache's index, the server's field selector and etcd agree: ${accept}`, async () => {
    const stored = await programs.podsAt(await programs.revision());
    const asked = [...stored.filter((_, index) => index % 20 === 0).map(({ key }) => key), 'fixed/nobody'];
    const server = ['-server', ours.secureUrl, '-insecure', '-accept', accept];
    const lines = await programs.lines<Line>('controller-cache', server, `${asked.join('\n')}\n`);
    assert.equal(lines.find(({ type }) => type === 'synced')?.objects, stored.length);

    const of = (type: string) =>
      new Map(lines.filter((line) => line.type === type).map(({ node, names }) => [node ?? '', names ?? []]));
    const [indexed, selected] = [of('indexed'), of('selected')];
    assert.ok(indexed.size >= 5, `${indexed.size} nodes`);
    assert.deepEqual(selected, indexed);
    const all = [...indexed.values()].flat().sort();
    assert.deepEqual(all, stored.map(({ key }) => key).sort(), 'each pod is on one node');
    for (const node of ['', 'node-1', 'node-2']) {
      for (const name of ['a', 'b']) assert.ok(indexed.get(node)?.includes(`fixed/on-${node}-${name}`), node);
    }

    const revisions = new Map(stored.map(({ key, modRevision }) => [key, modRevision]));
    for (const type of ['live', 'cached', 'metadata']) {
      const read = lines.filter((line) => line.type === type);
      assert.deepEqual(
        read.map(({ key, resourceVersion }) => [key, resourceVersion]),
        asked.map((key) => [key, revisions.get(key)]),
        type,
      );
    }
  });
}
