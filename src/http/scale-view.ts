import type { MetaVersion } from './encode/partial.js';
import { tableMembers } from './encode/table.js';
import { humanDuration, isElapsed } from './encode/table/human-duration.js';
import { age } from './encode/table/phrases.js';
import { NAME, plainColumns } from './encode/table/table-kind.js';
import type { View } from './objects.js';
import type { PlainDocument } from './respond.js';

const COUNTS = ['Desired:integer', 'Available:integer'] as const;
const COLUMNS = [NAME, ...plainColumns(...COUNTS, 'Age')];
const CUSTOM_COLUMNS = [NAME, ...plainColumns(...COUNTS, 'Age:date')].map((column) => {
  const counted = { Desired: 'desired', Available: 'actual' }[column.name];
  return counted === undefined ? column : { ...column, description: `Number of ${counted} replicas` };
});

/** A Scale as the client wants to see it: itself, its metadata alone, or as a Table of one row (spec 10.3, 10.4). */
export function scaleView(scale: PlainDocument, view: View, isCustom: boolean, nowMs: number): PlainDocument {
  switch (view.shape) {
    case 'object':
      return scale;
    case 'partial':
      return partialDocument(scale, view.metaVersion);
    case 'table':
      return tableDocument(scale, view, isCustom, nowMs);
  }
}

function partialDocument({ json }: PlainDocument, version: MetaVersion): PlainDocument {
  const kind = 'PartialObjectMetadata';
  const apiVersion = `meta.k8s.io/${version}`;
  return {
    json: { kind, apiVersion, metadata: json['metadata'] },
    apiVersion,
    kind,
    messageName: `k8s.io.apimachinery.pkg.apis.meta.v1.${kind}`,
  };
}

function tableDocument(scale: PlainDocument, view: View, isCustom: boolean, nowMs: number): PlainDocument {
  const { metaVersion, includeObject } = view;
  const { metadata, spec, status } = scale.json as {
    readonly metadata: Readonly<Record<string, string>>;
    readonly spec: { readonly replicas?: unknown };
    readonly status: { readonly replicas: unknown };
  };
  const since = age(scale.json);
  const cells = [
    metadata['name'] ?? '',
    // Cells of custom resources are JSONPaths, and a Scale of nothing leaves its replicas out.
    spec.replicas ?? (isCustom ? null : 0),
    status.replicas,
    isElapsed(since) ? humanDuration(nowMs - since.fromMs) : since,
  ];
  const objects = {
    None: () => null,
    Metadata: () => partialDocument(scale, metaVersion).json,
    Object: () => scale.json,
  };
  const columns = isCustom ? CUSTOM_COLUMNS : COLUMNS;
  const resourceVersion = metadata['resourceVersion'] ?? '';
  const members = tableMembers(metaVersion, { resourceVersion }, columns);
  return {
    json: { ...members, rows: [{ cells, object: objects[includeObject]() }] },
    apiVersion: members.apiVersion,
    kind: members.kind,
    messageName: '', // never as protobuf
  };
}
