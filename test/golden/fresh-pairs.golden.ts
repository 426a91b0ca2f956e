import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { difference, jsonOf, parsePairs, problemWith, servedJsonOf } from '../codec/golden.js';
import { repositoryRoot, requireProgram, run } from '../support/command.js';

/**
 * Pairs of every kind from a seed that nobody has tried, made by Kubernetes' own serializers, compared
 * byte for byte in both directions. SEED=<n> repeats a run, PER_KIND=<n> makes it larger.
 */
const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31));
const perKind = Number(process.env['PER_KIND'] ?? 5);

async function golden(mode: 'pairs' | 'one-way' | 'json-stored') {
  const go = requireProgram('go', 'GO', 'install Go 1.26 or newer, e.g. apt-get install -t sid golang-go');
  const { code, stdout, stderr } = await run(
    go,
    ['run', './golden', '-mode', mode, '-seed', `${seed}`, '-per-kind', `${perKind}`],
    {
      cwd: join(repositoryRoot, 'proto/gen'),
      timeoutMs: 900_000,
    },
  );
  assert.equal(code, 0, stderr);
  return parsePairs(stdout);
}

test(`fresh golden pairs, SEED=${seed} PER_KIND=${perKind}`, async (t) => {
  const pairs = await golden('pairs');
  const found = new Set<string>();
  for (const pair of pairs) {
    found.add(`${pair.apiVersion} ${pair.kind}`);
    assert.equal(problemWith(pair), undefined, `SEED=${seed} ${pair.apiVersion} ${pair.kind}`);
  }
  assert.ok(found.size >= 190, `pairs of only ${found.size} kinds`);
  t.diagnostic(`SEED=${seed}: ${pairs.length} pairs of ${found.size} kinds are identical both ways`);
});

test(`fresh values that JSON cannot carry back, SEED=${seed}`, async (t) => {
  const pairs = await golden('one-way');
  for (const pair of pairs) {
    assert.equal(jsonOf(pair), pair.json, `SEED=${seed} ${pair.apiVersion} ${pair.kind}`);
  }
  assert.ok(pairs.length > 0);
  t.diagnostic(`SEED=${seed}: ${pairs.length} values read as Go reads them`);
});

test(`fresh CustomResourceDefinitions and APIServices, stored as JSON, SEED=${seed}`, async (t) => {
  const pairs = await golden('json-stored');
  for (const pair of pairs) {
    // Through protobuf an empty list and no list are the same (spec 1.4).
    const want = withoutEmptyLists(pair.json);
    const got = withoutEmptyLists(servedJsonOf(pair));
    assert.equal(got, want, `SEED=${seed} ${pair.kind}: ${difference(want, got)}`);
  }
  t.diagnostic(`SEED=${seed}: ${pairs.length} values are served as Go serves them`);
});

/** Lists without omitempty are null when nil; others are left out. */
function withoutEmptyLists(json: string): string {
  return json.replace(/"([^"\\]+)":\[\]/g, '"$1":null');
}
