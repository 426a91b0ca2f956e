import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meteredSource } from '../../src/app/metered-source.js';
import { established } from '../../src/app/load/definition.js';
import { KindSet } from '../../src/codec/kind-set.js';
import { prefixEnd, utf8 } from '../../src/lib/bytes.js';
import { systemClock } from '../../src/lib/clock.js';
import { systemRandom } from '../../src/lib/random.js';
import { createEmbeddedStore } from '../../src/source/embedded/embedded-store.js';

const kinds = new KindSet([]);
kinds.define(
  'foos.ex.io',
  established({
    metadata: { name: 'foos.ex.io' },
    spec: {
      group: 'ex.io',
      scope: 'Namespaced',
      names: { plural: 'foos', kind: 'Foo' },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
    },
  }),
);
const ignore = () => undefined;
const keyAfter = (key: string) => utf8(`${key}\0`);

// Which resource and operation a read is counted under, as kube-apiserver names them.
const rows: [what: string, from: string, to: Uint8Array, keysOnly: boolean, want: string][] = [
  ['one object', '/registry/pods/ns/a', keyAfter('/registry/pods/ns/a'), false, 'get /pods'],
  ['all of a kind', '/registry/pods/', prefixEnd(utf8('/registry/pods/')), false, 'list /pods'],
  [
    'a directory of two',
    '/registry/services/specs/',
    prefixEnd(utf8('/registry/services/specs/')),
    false,
    'list /services',
  ],
  ['keys', '/registry/leases/', prefixEnd(utf8('/registry/leases/')), true, 'listOnlyKeys coordination.k8s.io/leases'],
  ['a custom resource', '/registry/ex.io/foos/ns/a', keyAfter('/registry/ex.io/foos/ns/a'), false, 'get ex.io/foos'],
  ['what no CRD defines', '/registry/ex.io/bars/a', keyAfter('/registry/ex.io/bars/a'), false, 'get /'],
  ['what is no kind', '/registry/health', keyAfter('/registry/health'), false, 'get /'],
];
for (const [what, from, to, keysOnly, want] of rows) {
  test(`a read of ${what} counts as ${want}`, async () => {
    const store = createEmbeddedStore({ clock: systemClock, random: systemRandom });
    const seen: string[] = [];
    const source = meteredSource(
      store,
      '/registry',
      kinds,
      systemClock,
      (operation, group, resource, seconds, failed) => {
        assert.ok(seconds >= 0);
        seen.push(`${operation} ${group}/${resource}${failed ? ' failed' : ''}`);
      },
    );
    await source.range({ from: utf8(from), to, keysOnly }, ignore);
    await assert.rejects(source.range({ from: utf8(from), to, keysOnly, revision: 99 }, ignore));
    await store.close();
    assert.deepEqual(seen, [want, `${want} failed`]);
  });
}
