import type { ObjectFilter } from '../../src/cache/cache.js';
import type { BenchCase, BenchCases } from '../bench.js';
import { ALL_PODS, fieldFilter, labelFilter, opaque, PodCache, podVariants, SHARES } from '../indexed-pods.js';

/**
 * What finding the objects of a LIST costs, at four selectivities and four sizes. One operation is one LIST:
 * snapshot, plan, every id in key order. Bytes are not sent.
 *
 *     index     label sets and fields are indexed; the planner chooses
 *     scan      the baseline: a selector reads every object's bytes
 *     page      the first 500 of what matches, by index and by scan
 */
export function setup(smoke: boolean): BenchCases {
  const cases: BenchCases = {};
  for (const count of smoke ? [200] : [1_000, 10_000, 100_000, 300_000]) {
    for (const share of SHARES) {
      const filter = labelFilter(`${share}=yes`);
      cases[`indexer/list/${share}/index/pods=${count}`] = () => list(count, filter);
      cases[`indexer/list/${share}/scan/pods=${count}`] = () => list(count, opaque(filter));
    }
    const absent = labelFilter('!percent,app!=svc-1');
    cases[`indexer/list/negative/index/pods=${count}`] = () => list(count, absent);
    cases[`indexer/list/negative/scan/pods=${count}`] = () => list(count, opaque(absent));
    const onNode = fieldFilter('spec.nodeName', 'node-7');
    cases[`indexer/list/node/index/pods=${count}`] = () => list(count, onNode);
    cases[`indexer/list/node/scan/pods=${count}`] = () => list(count, opaque(onNode));
    const tenth = labelFilter('tenth=yes');
    cases[`indexer/page/tenth/index/pods=${count}`] = () => list(count, tenth, 500);
    cases[`indexer/page/tenth/scan/pods=${count}`] = () => list(count, opaque(tenth), 500);
  }
  const updates = smoke ? 50 : 10_000;
  const indexed = {
    none: [],
    labels: ['l'],
    'labels+node': ['l', 'f:spec.nodeName'],
    'labels+8-fields': [
      'l',
      ...['spec.nodeName', 'spec.restartPolicy', 'spec.schedulerName', 'spec.serviceAccountName'].map((f) => `f:${f}`),
      ...['spec.hostNetwork', 'status.phase', 'status.podIP', 'status.nominatedNodeName'].map((f) => `f:${f}`),
    ],
  };
  for (const [name, names] of Object.entries(indexed)) {
    cases[`indexer/ingest/same-terms/${name}`] = () => ingest(smoke ? 200 : 20_000, updates, names, 'same');
    cases[`indexer/ingest/other-terms/${name}`] = () => ingest(smoke ? 200 : 20_000, updates, names, 'other');
  }
  return cases;
}

let kept: PodCache | undefined; // sizes are measured one after the other, so one cache is kept

function podCache(count: number): PodCache {
  if (kept?.count === count) return kept;
  kept?.close();
  kept = undefined;
  return (kept = new PodCache(count).index('l', 'f:spec.nodeName'));
}

function list(count: number, filter: ObjectFilter, limit = 0): BenchCase {
  const { cache } = podCache(count);
  const never = () => false;
  return {
    ops: 1,
    run: () => {
      using snapshot = cache.snapshot(undefined, 'bench')!;
      let checksum = 0;
      let left = limit === 0 ? count : limit;
      const selection = snapshot.select({ ...ALL_PODS, filter, limit });
      selection.advance((id) => {
        checksum = (checksum + id) | 0;
        return --left > 0;
      }, never);
      return checksum;
    },
  };
}

/** Updates of random pods through the whole cache. `other`: each brings labels and fields that it did not have. */
function ingest(count: number, updates: number, names: readonly string[], terms: 'same' | 'other'): BenchCase {
  kept?.close();
  kept = undefined;
  const pods = new PodCache(count).index(...names);
  const values = podVariants();
  let round = 0;
  return {
    ops: updates,
    run: () => {
      for (let update = 0; update < updates; update++) {
        const index = (update * 7_919) % count;
        const variant = terms === 'same' ? index : index + ++round;
        pods.update(index, values[variant % values.length]!);
      }
      pods.clock.advance(1_000);
      return pods.cache.storage.engine.size;
    },
    dispose: () => pods.close(),
  };
}
