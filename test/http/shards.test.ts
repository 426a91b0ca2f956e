import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openEnvelope } from '../../src/codec/envelope.js';
import { messageToJson } from '../../src/codec/kind-codec.js';
import { metadataRange } from '../../src/codec/scan.js';
import { pod, type Serving, startServing } from './serving.js';

let serving: Serving;
before(async () => {
  serving = startServing({ shardedListAndWatch: true });
  await serving.put('pods', pod('p0', 'a'));
  await serving.put('pods', pod('p1', 'a'));
});
after(() => serving.close());

const ALL = "shardRange(object.metadata.uid, '0x0000000000000000', '0x10000000000000000')";
// uid-p0 hashes to 0x9354dc17…, uid-p1 to 0x9354dd17….
const SECOND = "shardRange(object.metadata.uid, '0x9354dd0000000000', '0x10000000000000000')";

async function get(selector: string, accept = 'application/json', more = '') {
  const url = `/api/v1/pods?shardSelector=${encodeURIComponent(selector)}${more}`;
  const { statusCode, rawPayload } = await serving.server.inject({ url, headers: { host: 'localhost', accept } });
  return { code: statusCode, text: rawPayload.toString(), bytes: rawPayload };
}

test('JSON: shardInfo is the last member of the metadata', async () => {
  const { code, text } = await get(`(${ALL})`, 'application/json', '&limit=1');
  assert.equal(code, 200);
  const token = (JSON.parse(text) as { metadata: { continue: string } }).metadata.continue;
  const start =
    `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"3","continue":"${token}",` +
    `"remainingItemCount":1,"shardInfo":{"selector":"${ALL}"}},"items":[`;
  assert.equal(text.slice(0, start.length), start);
});

test('protobuf: shardInfo is field 5 of ListMeta', async () => {
  const { bytes } = await get(ALL, 'application/vnd.kubernetes.protobuf');
  const { rawStart, rawEnd } = openEnvelope(bytes, 0, bytes.length);
  const listMeta = 'k8s.io.apimachinery.pkg.apis.meta.v1.ListMeta';
  const metadata = metadataRange(bytes, rawStart, rawEnd); // field 1 of every list, as of every object
  const json = messageToJson(listMeta, bytes, metadata.start, metadata.end);
  assert.deepEqual(JSON.parse(json), { resourceVersion: '3', shardInfo: { selector: ALL } });
});

test('the shard is what is listed', async () => {
  const { text } = await get(SECOND);
  const { items } = JSON.parse(text) as { items: { metadata: { name: string } }[] };
  assert.deepEqual(
    items.map(({ metadata }) => metadata.name),
    ['p1'],
  );
});

for (const as of ['Table', 'PartialObjectMetadataList']) {
  test(`as=${as}: the shard, without shardInfo`, async () => {
    const { code, text } = await get(SECOND, `application/json;as=${as};v=v1;g=meta.k8s.io`);
    assert.equal(code, 200);
    const { metadata, items, rows } = JSON.parse(text) as { metadata: unknown; items?: unknown[]; rows?: unknown[] };
    assert.deepEqual(metadata, { resourceVersion: '3' });
    assert.equal((items ?? rows)!.length, 1);
  });
}

test('a malformed selector is a 500 without a reason, for LIST and WATCH', async () => {
  for (const more of ['', '&watch=1']) {
    const { code, text } = await get('x', 'application/json', more);
    assert.equal(code, 500);
    assert.equal(
      text,
      '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"invalid shard selector: ' +
        'unexpected expression kind 3; expected shardRange() call or || operator","code":500}\n',
    );
  }
});
