import { withoutConverted, METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR } from './autoscaler-annotations.js';
import { behaviorOf, behaviorText } from './autoscaler-behavior.js';
import {
  cpuSpec,
  cpuStatus,
  DEFAULT_CPU_PERCENTAGE,
  specOf,
  specText,
  statusOf,
  statusText,
} from './autoscaler-metrics.js';
import type { Conversion } from './conversion.js';
import { encodeObject } from './encode.js';
import { CodecError } from './codec.js';
import { isJsonObject, JsonSyntaxError, type JsonObject, type JsonValue, parseJson } from './json-parse.js';
import { delimitedPart, joined, type Part, partsOf } from './message-parts.js';
import { compileField, compilePath, hasPath, hit } from './scan.js';
import { transcode } from './transcode.js';
import { textOf } from './wire.js';
import { createWriter } from './writer.js';

const V2 = 'k8s.io.api.autoscaling.v2';

/** Tags of both versions. */
const METADATA = 10;
const SPEC = 18;
const STATUS = 26;
const ANNOTATIONS = 98; // of ObjectMeta
const KEY = 10;
const VALUE = 18;
/** Of v2. */
const SPEC_METRICS = 34;
const SPEC_BEHAVIOR = 42;
const STATUS_METRICS = 42;
const STATUS_CONDITIONS = 50;
/** Of v1, behind the members that both versions have. */
const TARGET_CPU_PERCENTAGE = 32;
const CURRENT_CPU_PERCENTAGE = 40;

/**
 * A HorizontalPodAutoscaler of v1 knows one metric, the utilization of CPU. What v2 has besides is JSON in annotations, for
 * clients of v1 that write back what they have read: further metrics, what was measured, conditions and behavior.
 */
export const autoscalerConversion: Conversion = {
  toServed(bytes, start, end) {
    const [metadata, spec, status] = [METADATA, SPEC, STATUS].map((tag) =>
      partsOf(partsOf(bytes, start, end).find((part) => part.tag === tag)?.content ?? new Uint8Array()),
    ) as [Part[], Part[], Part[]];
    const of = (parts: readonly Part[], tag: number) => parts.filter((part) => part.tag === tag);
    const metrics = of(spec, SPEC_METRICS);
    const measured = of(status, STATUS_METRICS);
    const behavior = of(spec, SPEC_BEHAVIOR)[0];
    const others = metrics.filter((metric) => cpuTarget(metric) === undefined);
    const conditions = of(status, STATUS_CONDITIONS);
    const annotations = new Map<string, string>();
    if (others.length > 0) {
      annotations.set(
        METRICS,
        listText(others, (metric) => specText(parsed(`${V2}.MetricSpec`, metric))),
      );
    }
    if (measured.length > 0) {
      annotations.set(
        CURRENT_METRICS,
        listText(measured, (one) => statusText(parsed(`${V2}.MetricStatus`, one))),
      );
    }
    if (behavior !== undefined) {
      annotations.set(BEHAVIOR, behaviorText(parsed(`${V2}.HorizontalPodAutoscalerBehavior`, behavior)));
    }
    if (conditions.length > 0) {
      annotations.set(
        CONDITIONS,
        listText(conditions, (one) => jsonOf(`${V2}.HorizontalPodAutoscalerCondition`, one)),
      );
    }
    return joined([
      delimitedPart(METADATA, joined(annotated(metadata, annotations))),
      delimitedPart(
        SPEC,
        joined([
          ...spec.filter(({ tag }) => tag < SPEC_METRICS),
          ...renumbered(TARGET_CPU_PERCENTAGE, metrics.map(cpuTarget).find(isPresent)),
        ]),
      ),
      delimitedPart(
        STATUS,
        joined([
          ...status.filter(({ tag }) => tag < STATUS_METRICS),
          ...renumbered(CURRENT_CPU_PERCENTAGE, measured.map(cpuCurrent).findLast(isPresent)),
        ]),
      ),
    ]);
  },

  toStored({ apiVersion: _, ...autoscaler }) {
    const metadata = recordOf(autoscaler['metadata']);
    const annotations = recordOf(metadata['annotations']);
    const { targetCPUUtilizationPercentage, ...spec } = recordOf(autoscaler['spec']);
    const { currentCPUUtilizationPercentage, ...status } = recordOf(autoscaler['status']);
    const metrics = [
      ...(readList(annotations[METRICS], `${V2}.MetricSpec`, specOf) ?? []),
      ...(isPresent(targetCPUUtilizationPercentage) ? [cpuSpec(targetCPUUtilizationPercentage)] : []),
    ];
    const currentMetrics =
      readList(annotations[CURRENT_METRICS], `${V2}.MetricStatus`, statusOf) ??
      (isPresent(currentCPUUtilizationPercentage) ? [cpuStatus(currentCPUUtilizationPercentage)] : []);
    const behavior = behaviorIn(annotations[BEHAVIOR]);
    const conditions = readList(annotations[CONDITIONS], `${V2}.HorizontalPodAutoscalerCondition`, recordOf);
    return {
      apiVersion: 'autoscaling/v2',
      ...autoscaler,
      metadata: withoutConverted(metadata),
      spec: {
        ...spec,
        minReplicas: spec['minReplicas'] ?? 1,
        metrics: metrics.length > 0 ? metrics : [cpuSpec(DEFAULT_CPU_PERCENTAGE)],
        ...(behavior === undefined ? {} : { behavior }),
      },
      status: { ...status, currentMetrics, ...(conditions === undefined ? {} : { conditions }) },
    };
  },
};

/** The varint of a metric's percentage, if it is one of the CPU. */
const cpuTarget = cpuReader('MetricSpec', 'target');
const cpuCurrent = cpuReader('MetricStatus', 'current');

function cpuReader(name: string, member: string): (metric: Part) => Uint8Array | undefined {
  let read: ((metric: Part) => Uint8Array | undefined) | undefined;
  const compile = () => {
    const message = `${V2}.${name}`;
    const [type, resource] = ['type', 'resource.name'].map((path) =>
      compileField(message, { label: path, path, absent: '' }),
    ) as [ReturnType<typeof compileField>, ReturnType<typeof compileField>];
    const percentage = compilePath(message, `resource.${member}.averageUtilization`);
    return ({ content }: Part) => {
      const { length } = content;
      if (type.read(content, 0, length) !== 'Resource' || resource.read(content, 0, length) !== 'cpu') return undefined;
      return hasPath(content, 0, length, percentage) ? content.subarray(hit.start, hit.end) : undefined;
    };
  };
  return (metric) => (read ??= compile())(metric);
}

/** A varint under another tag of one byte. */
function renumbered(tag: number, varint: Uint8Array | undefined): Part[] {
  return varint === undefined ? [] : [{ tag, bytes: Buffer.from([tag, ...varint]), content: varint }];
}

/** Metadata with these annotations, in the order of their keys; what other versions left there is gone. */
function annotated(metadata: readonly Part[], added: ReadonlyMap<string, string>): Part[] {
  const made = [...added].map(([key, value]) =>
    delimitedPart(
      ANNOTATIONS,
      joined([delimitedPart(KEY, Buffer.from(key)), delimitedPart(VALUE, Buffer.from(value))]),
    ),
  );
  const annotations = [...metadata.filter(({ tag }) => tag === ANNOTATIONS), ...made];
  const keyOf = ({ content }: Part) =>
    partsOf(content).find(({ tag }) => tag === KEY)?.content ?? content.subarray(0, 0);
  return [
    ...metadata.filter(({ tag }) => tag < ANNOTATIONS),
    ...annotations.sort((a, b) => Buffer.compare(keyOf(a), keyOf(b))),
    ...metadata.filter(({ tag }) => tag > ANNOTATIONS),
  ];
}

function listText(parts: readonly Part[], textFor: (part: Part) => string): string {
  return `[${parts.map(textFor).join(',')}]`;
}

function jsonOf(messageName: string, { content }: Part): string {
  const writer = createWriter(content.length * 2);
  transcode(messageName, content, 0, content.length, writer);
  return textOf(writer.bytes, 0, writer.position);
}

function parsed(messageName: string, part: Part): JsonObject {
  return parseJson(jsonOf(messageName, part), { keepSource: true }) as JsonObject;
}

/** What an annotation lists; undefined when it is not there or does not say what it should, as if it were not there. */
function readList(
  annotation: JsonValue | undefined,
  messageName: string,
  convert: (element: JsonObject) => JsonObject,
): JsonObject[] | undefined {
  return readAnnotation(annotation, (value) => {
    if (value !== null && !Array.isArray(value)) return undefined;
    const list = (value ?? []).map((element) => convert(recordOf(element)));
    for (const element of list) encodeObject(messageName, element);
    return list;
  });
}

function behaviorIn(annotation: JsonValue | undefined): JsonObject | undefined {
  return readAnnotation(annotation, (value) => {
    const behavior = behaviorOf(recordOf(value));
    encodeObject(`${V2}.HorizontalPodAutoscalerBehavior`, behavior);
    return Object.keys(behavior).length === 0 ? undefined : behavior;
  });
}

function readAnnotation<T>(annotation: JsonValue | undefined, read: (value: JsonValue) => T): T | undefined {
  if (typeof annotation !== 'string') return undefined;
  try {
    return read(parseJson(annotation));
  } catch (error) {
    if (error instanceof JsonSyntaxError || error instanceof CodecError) return undefined;
    throw error;
  }
}

function recordOf(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}

function isPresent<T>(value: T | null | undefined): value is T {
  return value !== undefined && value !== null;
}
