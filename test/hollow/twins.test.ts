import assert from 'node:assert/strict';
import { test } from 'node:test';
import { engines } from '../../src/engine/engines.js';
import { runSmall } from './small-cluster.js';

// Every engine beside each kind's own, on the traffic of a living cluster: each answer is compared.
for (const twin of Object.keys(engines)) {
  test(`a hollow cluster with ${twin} as twin: no answer differs`, async () => {
    const { result, report } = await runSmall({ twin });
    assert.equal(result.status, 'done', result.message);
    assert.ok(result.twin !== undefined && result.twin.comparisons > 100, JSON.stringify(result.twin));
    assert.equal(result.twin.differences, 0);
    assert.deepEqual(report.problems, []);
  });
}
