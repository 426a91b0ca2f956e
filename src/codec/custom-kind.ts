import { apiVersionOf } from '../api/gvr.js';
import { compareVersions } from '../api/versions.js';
import type { CustomColumn, Kind, SelectableField } from './kind.js';

/**
 * The kinds that a CustomResourceDefinition makes: one for each version that is served, as the rows of kinds.ts are.
 * Takes the v1 object (custom-resource-definition.ts); kinds hold nothing but plain data, since workers get them too.
 */
export function kindsOf(crd: unknown): readonly Kind[] {
  const spec = at(crd, 'spec');
  const versions = list(at(spec, 'versions'));
  const names = at(crd, 'status', 'acceptedNames');
  if (!isEstablished(crd)) return [];
  const group = text(at(spec, 'group'));
  const resource = text(at(names, 'plural'));
  const kind = text(at(names, 'kind'));
  const storageVersion = text(
    at(
      versions.find((version) => at(version, 'storage') === true),
      'name',
    ),
  );
  const served = versions
    .filter((version) => at(version, 'served') === true)
    .sort((a, b) => compareVersions(text(at(a, 'name')), text(at(b, 'name'))));
  const schemas = Object.fromEntries(
    versions.map((version) => [text(at(version, 'name')), at(version, 'schema', 'openAPIV3Schema')]),
  );
  const namespaced = at(spec, 'scope') === 'Namespaced';
  return served.map((version): Kind => {
    const name = text(at(version, 'name'));
    const scale = at(version, 'subresources', 'scale');
    const hasStatus = at(version, 'subresources', 'status') !== undefined;
    const deprecation = deprecationOf(group, kind, version, served);
    return {
      group,
      version: name,
      ...(storageVersion === name ? {} : { storageVersion }),
      servedByDefault: true,
      resource,
      kind,
      listKind: text(at(names, 'listKind')) || `${kind}List`,
      singular: text(at(names, 'singular')) || kind.toLowerCase(),
      shortNames: list(at(names, 'shortNames')).map(text),
      categories: list(at(names, 'categories')).map(text),
      namespaced,
      directory: `${group}/${resource}`,
      message: METADATA_ONLY,
      listMessage: `${METADATA_ONLY}List`,
      selectableFields: list(at(version, 'selectableFields')).map((field, index) =>
        customField(text(at(field, 'jsonPath')).replace(/^\./, ''), index),
      ),
      namespaceSelectable: namespaced,
      fieldLabelError: 'custom',
      subresources: [...(scale === undefined ? [] : ['scale']), ...(hasStatus ? ['status'] : [])],
      cachedByDefault: true,
      ...(deprecation === undefined ? {} : { deprecation }),
      custom: {
        definition: `${resource}.${group}`,
        schemas,
        converts: at(spec, 'conversion', 'strategy') === 'Webhook' ? 'webhook' : 'none',
        preservesUnknownFields: at(spec, 'preserveUnknownFields') === true,
        storageServed: served.some((one) => at(one, 'storage') === true),
        columns: list(at(version, 'additionalPrinterColumns')).map(columnOf),
        ...(scale === undefined
          ? {}
          : {
              scale: {
                specReplicas: text(at(scale, 'specReplicasPath')),
                statusReplicas: text(at(scale, 'statusReplicasPath')),
                labelSelector: text(at(scale, 'labelSelectorPath')),
              },
            }),
      },
    };
  });
}

/** What is read of an object's wire form besides its JSON: metadata is field 1, as everywhere. */
const METADATA_ONLY = 'k8s.io.apimachinery.pkg.apis.meta.v1.PartialObjectMetadata';

/** Where the wire form has the text of the first selectable field; see custom-resource.ts. */
const FIRST_FIELD_NUMBER = 4;

/** The field number `index` of those that a kind's objects hold as text; `path`: names joined by dots, `spec.color`. */
export function customField(path: string, index: number): SelectableField {
  return { label: path, path, absent: '', tag: ((FIRST_FIELD_NUMBER + index) << 3) | 2 };
}

function columnOf(column: unknown): CustomColumn {
  const path = text(at(column, 'jsonPath'));
  return {
    name: text(at(column, 'name')),
    type: text(at(column, 'type')),
    format: text(at(column, 'format')),
    description: text(at(column, 'description')) || `Custom resource definition column (in JSONPath format): ${path}`,
    priority: Number(at(column, 'priority') ?? 0),
    path,
  };
}

/** Upstream's own text, unless the CRD has one; a newer version that is not deprecated is named (spec 4.9). */
function deprecationOf(group: string, kind: string, version: unknown, served: readonly unknown[]): string | undefined {
  if (at(version, 'deprecated') !== true) return undefined;
  const own = at(version, 'deprecationWarning');
  if (typeof own === 'string') return own;
  const better = served.find((one) => at(one, 'deprecated') !== true);
  const isNewer = better !== undefined && compareVersions(text(at(better, 'name')), text(at(version, 'name'))) < 0;
  const use = isNewer ? `; use ${apiVersionOf(group, text(at(better, 'name')))} ${kind}` : '';
  return `${apiVersionOf(group, text(at(version, 'name')))} ${kind} is deprecated${use}`;
}

function isEstablished(crd: unknown): boolean {
  return list(at(crd, 'status', 'conditions')).some(
    (condition) => at(condition, 'type') === 'Established' && at(condition, 'status') === 'True',
  );
}

function at(value: unknown, ...path: readonly string[]): unknown {
  let current = value;
  for (const member of path) {
    if (typeof current !== 'object' || current === null) return undefined;
    current = (current as Record<string, unknown>)[member];
  }
  return current ?? undefined;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
