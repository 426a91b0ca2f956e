import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { KmsHealth } from '../../src/encryption/kms-health.js';
import { KmsPlugin } from '../../src/encryption/kms-plugin.js';
import { createFakeClock, systemClock } from '../../src/lib/clock.js';
import { TestKmsPlugin } from '../support/kms-plugin.js';

function healthOf({ endpoint, path }: TestKmsPlugin, timeoutMs: number, told: (string | undefined)[] = []) {
  const plugin = new KmsPlugin({ name: 'p', endpoint, path, timeoutMs }, systemClock, () => {});
  const health = new KmsHealth('p', plugin, systemClock, (problem) => told.push(problem));
  return { health, close: () => plugin.close() };
}

const unhealthy: [answer: Partial<TestKmsPlugin['answer']>, problem: string][] = [
  [{ healthz: 'the HSM is on fire' }, 'got unexpected healthz status: the HSM is on fire'],
  [{ version: 'v3' }, 'expected KMSv2 API version v2, got v3'],
  [{ key_id: '' }, 'got invalid KMSv2 KeyID hash "": keyID is empty'],
  [{ version: 'v1', healthz: '' }, '[got unexpected healthz status: , expected KMSv2 API version v2, got v1]'],
];
for (const [answer, problem] of unhealthy) {
  test(`a plugin is not healthy: ${problem}`, async () => {
    await using plugin = new TestKmsPlugin();
    await plugin.start();
    plugin.answer = { ...plugin.answer, ...answer };
    const told: (string | undefined)[] = [];
    const { health, close } = healthOf(plugin, 2_000, told);
    const want = `kmsv2 Provider p is not healthy, error: ${problem}`;
    assert.equal(await health.problem(), want);
    assert.equal(await health.problem(), want);
    assert.deepEqual(told, [want]);
    assert.equal(plugin.count('Status'), 1, 'an answer holds for a while');
    close();
  });
}

test('a plugin that is away is not healthy', async () => {
  await using plugin = new TestKmsPlugin();
  const { health, close } = healthOf(plugin, 100);
  assert.match(
    (await health.problem())!,
    /^failed to perform status section of the healthz check for KMS Provider p, error: rpc error: code = DeadlineExceeded /,
  );
  close();
});

const tooOld = Number(process.versions.node.split('.')[0]) < 24 && 'Node 20 takes these for sockets without a name';
test('the name of a socket may be abstract', {
  skip: process.platform === 'linux' ? tooOld : 'only Linux',
}, async () => {
  await using plugin = new TestKmsPlugin(`@listwatch-kms-${process.pid}`);
  await plugin.start();
  assert.ok(readFileSync('/proc/net/unix', 'utf8').includes(plugin.path));
  const { health, close } = healthOf(plugin, 2_000);
  assert.equal(await health.problem(), undefined);
  close();
});

test('a plugin is asked each minute, every ten seconds while it fails, and each problem is told once', async () => {
  const clock = createFakeClock();
  const told: (string | undefined)[] = [];
  let asked = 0;
  let healthz = 'ok';
  const plugin = {
    async status() {
      asked++;
      return { version: 'v2', healthz, key_id: '1' };
    },
  } as unknown as KmsPlugin;
  const health = new KmsHealth('p', plugin, clock, (problem) => told.push(problem));
  const pass = async (seconds: number) => {
    for (let second = 0; second < seconds; second++) {
      clock.advance(1_000);
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  health.start();
  await pass(179);
  assert.deepEqual([asked, told], [3, [undefined]]);
  healthz = 'broken';
  await pass(2);
  const broken = 'kmsv2 Provider p is not healthy, error: got unexpected healthz status: broken';
  assert.deepEqual([asked, told], [4, [undefined, broken]]);
  await pass(30);
  assert.deepEqual([asked, told], [7, [undefined, broken]]);
  healthz = 'ok';
  await pass(10);
  assert.deepEqual([asked, told], [8, [undefined, broken, undefined]]);
  health.stop();
  await pass(120);
  assert.equal(asked, 8);
});
