import type { KindCodec } from '../../src/codec/codec.js';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { findKind } from '../../src/codec/kinds.js';
import { createWriter } from '../../src/codec/writer.js';
import type { BenchCases } from '../bench.js';

/** What a kind that is stored as another one costs at ingest, beside the kind that is stored. */
export function setup(smoke: boolean): BenchCases {
  const ops = smoke ? 20 : 500;
  const codecOf = (group: string, version: string, resource: string) =>
    createKindCodec(findKind(group, version, resource)!);
  const [events, autoscalers] = [codecOf('', 'v1', 'events'), codecOf('autoscaling', 'v2', 'horizontalpodautoscalers')];
  const output = createWriter(2 ** 16);
  const ingest = (codec: KindCodec, values: readonly Uint8Array[]) => ({
    ops: values.length,
    run: () => {
      let checksum = 0;
      for (const value of values) {
        output.position = 0;
        codec.toWire(value, 0, value.length, 1_234_567, output);
        checksum += output.position;
      }
      return checksum;
    },
  });
  const each = (codec: KindCodec, make: (index: number) => object) =>
    Array.from({ length: ops }, (_, index) => codec.toStored(make(index)));
  const storedEvents = each(events, sampleEvent);
  const storedAutoscalers = each(autoscalers, sampleAutoscaler);
  return {
    'conversion/event-to-wire/stored': ingest(events, storedEvents),
    'conversion/event-to-wire/converted': ingest(codecOf('events.k8s.io', 'v1', 'events'), storedEvents),
    'conversion/autoscaler-to-wire/stored': ingest(autoscalers, storedAutoscalers),
    'conversion/autoscaler-to-wire/converted': ingest(
      codecOf('autoscaling', 'v1', 'horizontalpodautoscalers'),
      storedAutoscalers,
    ),
  };
}

const metadata = (name: string) => ({
  name,
  namespace: 'team-a',
  uid: '11111111-2222-4333-8444-555555555555',
  creationTimestamp: '2026-01-02T03:04:05Z',
});

function sampleEvent(index: number): object {
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: metadata(`web-${index}.17a`),
    involvedObject: { kind: 'Pod', namespace: 'team-a', name: `web-${index}`, apiVersion: 'v1' },
    reason: 'Scheduled',
    message: `Successfully assigned team-a/web-${index} to worker-007`,
    source: { component: 'default-scheduler' },
    firstTimestamp: '2026-01-02T03:04:05Z',
    lastTimestamp: '2026-01-02T03:04:05Z',
    count: 1,
    type: 'Normal',
  };
}

function sampleAutoscaler(index: number): object {
  const cpu = (member: string, amounts: object) => ({ type: 'Resource', resource: { name: 'cpu', [member]: amounts } });
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: metadata(`web-${index}`),
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: `web-${index}` },
      minReplicas: 2,
      maxReplicas: 9,
      metrics: [cpu('target', { type: 'Utilization', averageUtilization: 60 })],
    },
    status: {
      currentReplicas: 2,
      desiredReplicas: 2,
      currentMetrics: [cpu('current', { averageUtilization: 35, averageValue: '70m' })],
      conditions: [
        { type: 'AbleToScale', status: 'True', lastTransitionTime: '2026-01-02T03:04:05Z', reason: 'Ready' },
      ],
    },
  };
}
