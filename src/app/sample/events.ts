import { type KubeObject, time } from './objects.js';

export interface Involved {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  /** undefined for cluster-scoped objects: their events are in `default`. */
  readonly namespace: string | undefined;
  readonly fieldPath?: string;
}

export interface EventDetails {
  readonly involved: Involved;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  readonly component: string;
  readonly host?: string;
  readonly atMs: number;
}

/** A core v1 Event as client-go's recorder writes it; `ordinal` is the hexadecimal tail of its name. */
export function eventObject(event: EventDetails, uid: string, ordinal: string): KubeObject {
  const { involved, atMs } = event;
  const namespace = involved.namespace ?? 'default';
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${involved.name}.${ordinal}`, namespace, uid, creationTimestamp: time(atMs) },
    involvedObject: {
      apiVersion: involved.apiVersion,
      kind: involved.kind,
      name: involved.name,
      uid: involved.uid,
      ...(involved.namespace === undefined ? {} : { namespace: involved.namespace }),
      ...(involved.fieldPath === undefined ? {} : { fieldPath: involved.fieldPath }),
    },
    type: event.type,
    reason: event.reason,
    message: event.message,
    source: { component: event.component, ...(event.host === undefined ? {} : { host: event.host }) },
    reportingComponent: event.component,
    reportingInstance: event.host ?? '',
    firstTimestamp: time(atMs),
    lastTimestamp: time(atMs),
    count: 1,
  };
}
