import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parse as parseYaml } from 'yaml';
import { goJson, goJsonIndented, Indenter } from '../../src/http/encode/go-json.js';
import { BufferWriter } from '../../src/http/encode/writer.js';
import { type ListBody, wholeBody } from '../../src/http/encode/document.js';
import { writeJsonList, writePrettyJsonList } from '../../src/http/encode/json.js';
import { goTags, jsonToYaml, writeYamlList } from '../../src/http/encode/yaml.js';
import { writeText } from '../../src/http/encode/writer.js';
import { lengthScanner, lineScanner } from '../../src/http/watch/frames.js';

test('Go escapes what could be HTML', () => {
  assert.equal(goJson({ a: '<b>&\u2028\u2029"\\' }), '{"a":"\\u003cb\\u003e\\u0026\\u2028\\u2029\\"\\\\"}');
});

test('indenting a stream, cut anywhere, is indenting the document', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.infiniteStream(fc.integer({ min: 1, max: 7 })), (value, cuts) => {
      const compact = Buffer.from(`${goJson(value)}\n`);
      const into = new BufferWriter(16);
      const indenter = new Indenter();
      for (let at = 0; at < compact.length; ) {
        const end = Math.min(compact.length, at + cuts.next().value);
        indenter.push(compact, at, end, into);
        at = end;
      }
      assert.equal(into.written().toString(), goJsonIndented(value));
    }),
    { numRuns: 300 },
  );
});

test('YAML reads back as the JSON it came from', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      const json = JSON.stringify(value);
      fc.pre(!json.includes('"<<":')); // plain in Go's YAML, too, which then reads it as a merge
      assert.deepEqual(parseYaml(jsonToYaml(json), { version: '1.1', customTags: goTags }), JSON.parse(json));
    }),
    { numRuns: 300 },
  );
});

test('YAML items keep multi-line text, and empty lines in it', async () => {
  const texts = [
    'a\n\nb',
    'x: |\n  y\n',
    '\n',
    'tail\n\n\n',
    '  indented\nless',
    '# no comment',
    '- no item',
    'yes',
    '0123',
  ];
  const into = new BufferWriter(16);
  const body = wholeBody(into);
  await writeYamlList(
    {
      members: { kind: 'List', apiVersion: 'v1', metadata: {} },
      itemsKey: 'items',
      count: texts.length,
      item: (index, item) => writeText(item, JSON.stringify({ data: { text: texts[index] }, zz: texts[index] })),
    },
    body,
  );
  const parsed = parseYaml(into.written().toString(), { version: '1.1' }) as {
    items: { data: { text: string }; zz: string }[];
  };
  assert.deepEqual(
    parsed.items.map((item) => [item.data.text, item.zz]),
    texts.map((text) => [text, text]),
  );
});

test('frames are found in chunks that are cut anywhere', () => {
  const payloads = ['', 'a', 'bb'.repeat(200), '{"x":"y"}', 'c'.repeat(70_000)];
  const lines = Buffer.concat(payloads.map((payload) => Buffer.from(`${payload}\n`)));
  const lengths = Buffer.concat(
    payloads.map((payload) => {
      const frame = Buffer.alloc(4 + payload.length);
      frame.writeUInt32BE(payload.length);
      frame.write(payload, 4);
      return frame;
    }),
  );
  for (const [name, bytes, scanner, end] of [
    ['lines', lines, lineScanner, '\n'],
    ['lengths', lengths, lengthScanner, ''],
  ] as const) {
    for (const step of [1, 2, 3, 5, 64, 1_000_000]) {
      const found: string[] = [];
      const collecting = scanner();
      const counting = scanner();
      let count = 0;
      for (let at = 0; at < bytes.length; at += step) {
        const chunk = bytes.subarray(at, at + step);
        collecting.push(chunk, (payload) => found.push(Buffer.from(payload).toString()));
        count += counting.push(chunk);
      }
      assert.deepEqual(
        found,
        payloads.map((payload) => payload + end),
        `${name} by ${step}`,
      );
      assert.equal(count, payloads.length, `${name} by ${step}`);
    }
  }
});

test('YAML escapes what other readers take for line breaks, and drops nothing', () => {
  for (const text of ['\u2028 a', 'a\u2029', 'a\u0085b', '\ufeffa', 'a\nb\u2028c']) {
    const yaml = jsonToYaml(JSON.stringify({ [text]: text }));
    assert.doesNotMatch(yaml, /[\u0085\u2028\u2029\ufeff]/);
    assert.deepEqual(parseYaml(yaml, { version: '1.1' }), { [text]: text });
  }
  assert.equal(jsonToYaml('["\u2028\u2029\u0085\ufeff"]'), '- "\\L\\P\\N\\uFEFF"\n');
});

test('an empty list that upstream never appended to is null', async () => {
  const list = { members: { kind: 'List' }, itemsKey: 'items', count: 0, nullWhenEmpty: true, item: () => {} } as const;
  const written = async (write: (document: typeof list, body: ListBody) => Promise<boolean>) => {
    const into = new BufferWriter(16);
    await write(list, wholeBody(into));
    return into.written().toString();
  };
  assert.equal(await written(writeJsonList), '{"kind":"List","items":null}\n');
  assert.equal(await written(writePrettyJsonList), '{\n  "kind": "List",\n  "items": null\n}');
  assert.equal(await written(writeYamlList), 'items: null\nkind: List\n');
});

test('YAML: a dot alone, the key of managedFields, is plain text as with Go; numbers in text are quoted', () => {
  assert.equal(
    jsonToYaml('{"f:a":{".":{},"f:b":"."},"c":"1.","d":".5"}'),
    'c: "1."\nd: ".5"\nf:a:\n  .: {}\n  f:b: .\n',
  );
});
