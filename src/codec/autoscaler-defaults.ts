import { hasConverted, withoutConverted } from './autoscaler-annotations.js';
import { DEFAULT_CPU_PERCENTAGE, cpuSpec } from './autoscaler-metrics.js';
import { isJsonObject, type JsonObject, type JsonValue } from './json-parse.js';
import { compilePath, hasPath } from './scan.js';

const PERIOD_SECONDS = 15;
const SCALE_UP_PODS = 4;
const WHOLE_PERCENT = 100;

/**
 * What a server adds to an autoscaler that it reads: the replicas at least and a metric if there is none, and to a behavior all
 * that it does not say. One that was written through autoscaling/v1 may lack them, since they are defaults of v2.
 */
export function autoscalerDefaults(message: string) {
  const always = ['spec.minReplicas', 'spec.metrics[0]'].map((path) => compilePath(message, path));
  const behavior = compilePath(message, 'spec.behavior');
  const rules = [
    ...['scaleUp.stabilizationWindowSeconds', 'scaleUp.selectPolicy', 'scaleUp.policies[0]'],
    ...['scaleDown.selectPolicy', 'scaleDown.policies[0]'],
  ].map((path) => compilePath(message, `spec.behavior.${path}`));
  return {
    complete(bytes: Uint8Array, start: number, end: number): boolean {
      const has = (path: (typeof always)[number]) => hasPath(bytes, start, end, path);
      if (!always.every(has) || (has(behavior) && !rules.every(has))) return false;
      return !hasConverted(bytes, start, end);
    },
    apply(object: unknown): void {
      const autoscaler = object as JsonObject;
      const { metadata } = autoscaler;
      if (isJsonObject(metadata)) autoscaler['metadata'] = withoutConverted(metadata);
      const spec = (autoscaler['spec'] ??= {}) as JsonObject;
      spec['minReplicas'] ??= 1;
      const { metrics, behavior: given } = spec;
      if (!Array.isArray(metrics) || metrics.length === 0) spec['metrics'] = [cpuSpec(DEFAULT_CPU_PERCENTAGE)];
      if (isJsonObject(given)) {
        spec['behavior'] = {
          scaleUp: { ...scaleUpRules(), ...said(given['scaleUp']) },
          scaleDown: { ...scaleDownRules(), ...said(given['scaleDown']) },
        };
      }
    },
  };
}

function scaleUpRules(): JsonObject {
  return {
    stabilizationWindowSeconds: 0,
    selectPolicy: 'Max',
    policies: [policy('Pods', SCALE_UP_PODS), policy('Percent', WHOLE_PERCENT)],
  };
}

/** How long a scale-down waits is said by the controller's flag. */
function scaleDownRules(): JsonObject {
  return { selectPolicy: 'Max', policies: [policy('Percent', WHOLE_PERCENT)] };
}

function policy(type: string, value: number): JsonObject {
  return { type, value, periodSeconds: PERIOD_SECONDS };
}

function said(rules: JsonValue | undefined): JsonObject {
  if (!isJsonObject(rules)) return {};
  return Object.fromEntries(Object.entries(rules).filter(([, value]) => value !== null));
}
