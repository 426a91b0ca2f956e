import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { pod, type Serving, startServing } from '../http/serving.js';

let serving: Serving;

/** Timers of the code do not hold the process; a listening socket would. */
const held = setInterval(() => {}, 1_000);

before(async () => {
  serving = startServing();
  for (let index = 0; index < 600; index++) {
    const nodeName = `node-${index % 20}`;
    await serving.put('pods', pod(`pod-${String(index).padStart(3, '0')}`, 'default', { spec: { nodeName } }));
  }
});

after(() => {
  clearInterval(held);
  return serving.close();
});

function get(url: string, headers: Record<string, string> = {}) {
  return serving.server.inject({ url, headers: { host: 'localhost', ...headers } });
}

const PODS = '/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-7';

async function planOf(url: string): Promise<string> {
  return String((await get(url, { 'x-listwatch-explain': '1' })).headers['x-listwatch-plan']);
}

test('the plan of a LIST is told to who asks for it, by header or parameter, and changes nothing else', async () => {
  assert.match(await planOf(PODS), /^scan; estimated=600; range=600; verified=1; fetched=600; returned=30$/);
  for (let round = 0; round < 200 && (await planOf(PODS)).startsWith('scan'); round++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const want = 'postings f:spec.nodeName; estimated=30; range=600; fetched=30; returned=30';
  assert.equal(await planOf(PODS), want);
  const plain = await get(PODS);
  const explained = await get(`${PODS}&explain=listwatch`);
  assert.equal(explained.headers['x-listwatch-plan'], want);
  assert.equal(plain.headers['x-listwatch-plan'], undefined);
  assert.equal(explained.body, plain.body);
  assert.equal(JSON.parse(plain.body).items.length, 30);
});

test('a plan names what clients wrote in a way that a header can carry', async () => {
  const plan = await planOf('/api/v1/pods?labelSelector=app%3Da&fieldSelector=spec.nodeName%3D%C3%BC%0D%0Ax');
  assert.match(plan, /^[\x20-\x7e]+$/);
});

test('extended field selectors are refused unless they are switched on', async () => {
  const { statusCode, body } = await get('/api/v1/pods?fieldSelector=spec.nodeName%20in%20(node-1)');
  assert.equal(statusCode, 400);
  assert.match(JSON.parse(body).message, /can't understand 'spec.nodeName in \(node-1\)'/);
});

test('LISTs and indexes are metered', async () => {
  const { body } = await get('/metrics');
  const value = (line: string) => {
    const found = body.split('\n').find((one: string) => one.startsWith(line));
    assert.ok(found, line);
    return Number(found.split(' ').at(-1));
  };
  const pods = 'group="",resource="pods"';
  assert.ok(value(`apiserver_cache_list_total{${pods},index="f:spec.nodeName"}`) >= 3);
  const fetched = value(`apiserver_cache_list_fetched_objects_total{${pods},index="f:spec.nodeName"}`);
  assert.ok(fetched >= 90 && fetched % 30 === 0);
  assert.ok(value(`apiserver_cache_list_returned_objects_total{${pods}}`) >= 120);
  assert.ok(value(`listwatch_index_hits_total{${pods}}`) >= 3);
  assert.ok(value(`listwatch_index_misses_total{${pods}}`) >= 1);
  assert.ok(value(`listwatch_index_bytes{${pods}}`) > 0);
  assert.equal(value(`listwatch_index_terms{${pods},index="f:spec.nodeName"}`), 20);
  assert.equal(value(`listwatch_index_dropped_total{${pods}}`), 0);
});

const dispatches: [query: string, want: string][] = [
  ['pods?watch=1', 'every change; range=kind'],
  ['pods?watch=1&fieldSelector=spec.nodeName%3Dnode-7', 'term f:spec.nodeName=node-7; range=kind'],
  ['namespaces/default/pods?watch=1&labelSelector=app%20in%20(a,b)', 'term l:app=a|b; range=namespace'],
  ['pods?watch=1&labelSelector=app', 'key l:app; range=kind'],
  ['pods?watch=1&labelSelector=app!%3Da', 'every change; range=kind'],
  ['namespaces/default/pods?watch=1&fieldSelector=metadata.name%3Dx', 'term f:metadata.name=x; range=object'],
  ['pods?watch=1&fieldSelector=spec.nodeName%3D%C3%BC%0D%0Ax', 'term f:spec.nodeName=%C3%BC%0D%0Ax; range=kind'],
  ['events?watch=1', 'source'],
];
for (const [query, want] of dispatches) {
  test(`WATCH ${query} is dispatched by: ${want}`, async () => {
    const url = `/api/v1/${query}&timeoutSeconds=1&resourceVersion=600`;
    const explained = await get(url, { 'x-listwatch-explain': '1' });
    assert.equal(explained.statusCode, 200);
    assert.equal(explained.headers['x-listwatch-plan'], want);
    if (want === 'source') assert.equal((await get(url)).headers['x-listwatch-plan'], undefined);
  });
}
