import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readObjects } from '../../src/app/load/documents.js';

// Manifests that somebody else wrote: nothing that they hold may hurt who loads them.

const folder = mkdtempSync(join(tmpdir(), 'listwatch-hostile-'));
after(() => rmSync(folder, { recursive: true, force: true }));

async function read(text: string, ending: 'yaml' | 'json'): Promise<{ values: unknown[]; errors: string[] }> {
  const path = join(folder, `manifest.${ending}`);
  writeFileSync(path, text);
  const values: unknown[] = [];
  const errors: string[] = [];
  for await (const { content } of readObjects(path, () => {})) {
    if (content.ok) values.push(content.value);
    else errors.push(content.message);
  }
  return { values, errors };
}

const MARKER = 'hunter2-marker';
const secrets: readonly [what: string, text: string, ending: 'yaml' | 'json'][] = [
  ['a key without a colon', `kind: Secret\nstringData:\n  password: x\n ${MARKER}\n`, 'yaml'],
  ['a quote that is not closed', `kind: Secret\nstringData:\n  password: "${MARKER}\n`, 'yaml'],
  ['text behind a quote', `kind: Secret\nstringData:\n  password: "x" ${MARKER}\n`, 'yaml'],
  ['a bracket too many', `kind: Secret\nstringData: {password: x}} ${MARKER}\n`, 'yaml'],
  ['a flow collection that goes on', `{kind: Secret, stringData: {password: x}\n${MARKER}: ]\n`, 'yaml'],
  ['an alias', `kind: Secret\nstringData:\n  password: *${MARKER}\n`, 'yaml'],
  ['a tab', `kind: Secret\nstringData:\n\tpassword: ${MARKER}\n`, 'yaml'],
  ['a tag', `kind: Secret\nstringData:\n  password: !${MARKER} x: y\n`, 'yaml'],
  ['JSON that is cut', `{"kind":"Secret","stringData":{"password":"${MARKER}`, 'json'],
  ['JSON with a wrong escape', `{"kind":"Secret","stringData":{"password":"${MARKER}\\q"}}`, 'json'],
];
for (const [what, text, ending] of secrets) {
  test(`a Secret with ${what} is refused without being shown`, async () => {
    const { errors } = await read(text, ending);
    assert.ok(errors.length > 0, 'refused');
    for (const error of errors) assert.ok(!error.includes(MARKER), error);
  });
}

test('aliases of aliases are refused, not multiplied', async () => {
  const levels = Array.from({ length: 12 }, (_, index) => {
    const of =
      index === 0
        ? '[x,x,x,x,x,x,x,x,x]'
        : `[${Array(9)
            .fill(`*a${index - 1}`)
            .join(',')}]`;
    return `a${index}: &a${index} ${of}\n`;
  });
  const { values, errors } = await read(levels.join(''), 'yaml');
  assert.deepEqual(values, []);
  assert.match(errors.join(), /[Ee]xcessive alias count/);
});

for (const [what, text, ending] of [
  ['flow YAML', `a: ${'['.repeat(200_000)}`, 'yaml'],
  ['block YAML', Array.from({ length: 20_000 }, (_, depth) => `${' '.repeat(depth % 4_000)}a:\n`).join(''), 'yaml'],
  ['JSON that is not closed', `{"a":${'['.repeat(200_000)}`, 'json'],
] as const) {
  test(`${what} of endless depth is refused`, async () => {
    const { errors } = await read(text, ending);
    assert.ok(errors.length > 0);
  });
}

for (const ending of ['yaml', 'json'] as const) {
  test(`${ending}: __proto__ and constructor are names like others`, async () => {
    const json = '{"kind":"ConfigMap","__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}';
    const yaml = 'kind: ConfigMap\n__proto__:\n  polluted: true\nconstructor:\n  prototype:\n    polluted: true\n';
    const merged = 'x: &x\n  __proto__:\n    polluted: true\n<<: *x\n';
    for (const text of ending === 'json' ? [json] : [yaml, merged]) {
      const { values } = await read(text, ending);
      assert.equal(values.length, 1);
      assert.equal(Object.getPrototypeOf(values[0]), Object.prototype);
      assert.equal(({} as { polluted?: unknown }).polluted, undefined);
    }
  });
}
