import assert from 'node:assert/strict';
import { send } from '../support/http-client.js';

/**
 * Objects that the loader does not make, written through the peer, so that Go's own encoder stores them:
 * text that JSON escapes, empty and absent parts, events (which are leased and not cached).
 */
export async function writeOddObjects(peerUrl: string): Promise<void> {
  const create = async (path: string, object: object) => {
    const answer = await send(peerUrl, {
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(object).replace(`"${BEYOND_DOUBLES}"`, '9007199254740993'),
    });
    assert.equal(answer.status, 201, `${path}: ${answer.body.toString()}`);
  };
  for (const [index, text] of texts.entries()) {
    const namespace = `team-0${index % 3}`;
    const metadata = { name: `odd-${index}`, namespace, labels: { odd: String(index) }, annotations: { text } };
    await create(`/api/v1/namespaces/${namespace}/configmaps`, {
      metadata,
      data: { text, empty: '' },
      binaryData: { bytes: Buffer.from(text).toString('base64'), none: '' },
    });
    await create(`/api/v1/namespaces/${namespace}/secrets`, {
      metadata,
      type: index % 2 === 0 ? 'Opaque' : 'kubernetes.io/tls',
      data: { text: Buffer.from(text).toString('base64') },
    });
    await create(`/api/v1/namespaces/${namespace}/events`, {
      metadata,
      involvedObject: { kind: 'Pod', namespace, name: `odd-${index}` },
      reason: 'Odd',
      message: text,
      source: { component: 'test' },
      firstTimestamp: '2026-01-02T03:04:05Z',
      eventTime: index % 2 === 0 ? '2026-01-02T03:04:05.600000Z' : null,
      type: 'Normal',
    });
  }
  for (const name of ['a-b', 'a', 'a0', 'ab']) {
    await create('/api/v1/namespaces', { metadata: { name } }); // these order by bytes, not by words
    await create(`/api/v1/namespaces/${name}/pods`, { metadata: { name: 'bare' }, spec: { containers: null } });
    await create(`/api/v1/namespaces/${name}/pods`, {
      metadata: { name: 'full', deletionGracePeriodSeconds: 0, ownerReferences: [], finalizers: ['x/y'] },
      spec: {
        hostNetwork: true,
        containers: [{ name: 'a', image: 'b', resources: { limits: { cpu: '1500m', memory: '0.5Gi' } } }],
        terminationGracePeriodSeconds: 0,
      },
      status: { phase: 'Failed', podIPs: [{ ip: '::1' }], podIP: '::1' },
    });
    await create(`/apis/apps/v1/namespaces/${name}/deployments`, {
      metadata: { name: 'bare', generation: BEYOND_DOUBLES },
      spec: { selector: null, template: {} },
    });
    await create(`/api/v1/namespaces/${name}/services`, {
      metadata: { name: 'bare' },
      spec: {
        ports: [
          { port: 1, targetPort: 'named' },
          { port: 2, targetPort: 3 },
        ],
      },
    });
    await create(`/apis/coordination.k8s.io/v1/namespaces/${name}/leases`, {
      metadata: { name: 'bare' },
      spec: { renewTime: '2026-01-02T03:04:05.000001Z' },
    });
  }
}

/** An integer that a JavaScript number cannot hold. */
const BEYOND_DOUBLES = 'beyond doubles';

const texts = [
  'plain',
  '<html> & "quotes" \\ back',
  'tab\t newline\n return\r bell\u0007 delete\u007f',
  '\u2028 \u2029 \u00fc \u{1f600} \ufffd',
  '',
  'x'.repeat(200_000),
  '{"json":[1,2,{"a":null}]}',
];
