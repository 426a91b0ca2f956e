import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, openRaw } from './client.js';
import { kindOf, pod, startServing } from './serving.js';

const COUNT = 40;
const ROUNDS = 5;
const FILLER = 'x'.repeat(4_000);
const PROTOBUF = 'application/vnd.kubernetes.protobuf';
/** Of the state before; so many are more than the buffers between two sockets take. */
const ANSWERS = 60;

/** Pods whose versions lie in one piece; `change` writes them anew until what is superseded is freed, and moves them again. */
async function startMoved() {
  const serving = startServing({ limits: { historyMs: 1 }, poison: true });
  const change = async (round: string) => {
    for (let index = 0; index < COUNT; index++) {
      const name = `p${index}`;
      await serving.put(
        'pods',
        pod(name, 'default', { metadata: { name, namespace: 'default', annotations: { FILLER, round } } }),
      );
    }
  };
  await change('0');
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  const list = async () => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/pods`, { headers: { accept: PROTOBUF } });
    return Buffer.from(await response.arrayBuffer());
  };
  for (let round = 0; round < 3; round++) await list();
  const { versions } = serving.caches.get(kindOf('pods'));
  return {
    serving,
    port,
    list,
    pinCount: () => versions.stats.pins,
    async overwrite(): Promise<void> {
      for (let round = 1; round <= ROUNDS; round++) {
        await change(String(round));
        await list();
        await list();
      }
      // The history keeps some changes at least; those of the state before are not among them.
      assert.ok(versions.stats.retired < (ROUNDS - 1) * COUNT, `${versions.stats.retired} versions are superseded`);
    },
  };
}

test('a client that reads late gets what was answered, though its versions are gone and their memory is used again', async (t) => {
  const { serving, port, list, pinCount, overwrite } = await startMoved();
  t.after(serving.close);
  const want = await list();
  const pinned = pinCount();
  const get = `GET /api/v1/pods?resourceVersion=0 HTTP/1.1\r\nHost: localhost\r\nAccept: ${PROTOBUF}\r\n\r\n`;
  const connection = await openRaw(port, get.repeat(ANSWERS));
  connection.socket.pause();
  await eventually('the answers are written', () => serving.server.unsentBytes > 0 && pinCount() === pinned);
  await overwrite();
  connection.socket.resume();
  const whole = Buffer.from(want).toString('latin1');
  await eventually('all answers', () => connection.text().split('HTTP/1.1 200').length === ANSWERS + 1, 30_000);
  await eventually(
    'the end of the last one',
    () => connection.text().split('HTTP/1.1 200').at(-1)!.includes(whole),
    30_000,
  );
  const bodies = connection.text().split('HTTP/1.1 200').slice(1);
  assert.equal(bodies.filter((body) => body.includes(whole)).length, ANSWERS);
  connection.socket.destroy();
});
