import { apiVersionOf } from '../api/gvr.js';
import { autoscalerConversion } from './autoscaler-conversion.js';
import type { Conversion } from './conversion.js';
import { eventConversion } from './event-conversion.js';
import type { Kind } from './kind.js';
import { kindByObject } from './kinds.js';

/** By apiVersion and kind of what is served. */
const conversions: ReadonlyMap<string, Conversion> = new Map([
  ['events.k8s.io/v1 Event', eventConversion],
  ['autoscaling/v1 HorizontalPodAutoscaler', autoscalerConversion],
]);

export function conversionOf(kind: Kind): Conversion | undefined {
  return conversions.get(`${apiVersionOf(kind.group, kind.version)} ${kind.kind}`);
}

/**
 * How a value with this apiVersion becomes one of the kind, though a current server does not store it so: etcd may hold
 * what an older one wrote.
 */
export function conversionInto({ group, version }: Kind, apiVersion: string, kindName: string): Conversion | undefined {
  const served = kindByObject(apiVersion, kindName);
  if (served?.storedAs?.group !== group || served.storedAs.version !== version) return undefined;
  return conversionOf(served);
}
