import { isJsonObject, type JsonObject } from './json-parse.js';
import { metadataRange, seek, hit } from './scan.js';
import { textOf } from './wire.js';

const ANNOTATIONS = 98; // of ObjectMeta
const KEY = 10;

/** Annotations in which autoscaling/v1 shows what it has no members for. Other versions never show them. */
export const METRICS = 'autoscaling.alpha.kubernetes.io/metrics';
export const CURRENT_METRICS = 'autoscaling.alpha.kubernetes.io/current-metrics';
export const CONDITIONS = 'autoscaling.alpha.kubernetes.io/conditions';
export const BEHAVIOR = 'autoscaling.alpha.kubernetes.io/behavior';

const converted: readonly string[] = [
  ...[METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR],
  'autoscaling.alpha.kubernetes.io/scale-down-tolerance',
  'autoscaling.alpha.kubernetes.io/scale-up-tolerance',
];

function isConverted(annotation: string): boolean {
  return converted.includes(annotation);
}

/** Whether an object in canonical form has one of them. */
export function hasConverted(bytes: Uint8Array, start: number, end: number): boolean {
  const metadata = metadataRange(bytes, start, end);
  for (let at = metadata.start; seek(bytes, at, metadata.end, ANNOTATIONS); ) {
    at = hit.end;
    if (seek(bytes, hit.start, hit.end, KEY) && isConverted(textOf(bytes, hit.start, hit.end))) return true;
  }
  return false;
}

/** The same metadata if it has none of them. */
export function withoutConverted(metadata: JsonObject): JsonObject {
  const { annotations } = metadata;
  if (!isJsonObject(annotations) || !Object.keys(annotations).some(isConverted)) return metadata;
  return {
    ...metadata,
    annotations: Object.fromEntries(Object.entries(annotations).filter(([name]) => !isConverted(name))),
  };
}
