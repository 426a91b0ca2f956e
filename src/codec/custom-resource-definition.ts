import { isJsonObject, JsonNumber } from './json-parse.js';

/**
 * CustomResourceDefinitions are stored as v1beta1 JSON and served as v1 (spec 1.3). v1beta1 says once, at
 * the top, what v1 says for each version; this is upstream's conversion through the internal type, and
 * its defaults, on parsed JSON.
 */
type Json = { [member: string]: unknown };

const V1 = 'apiextensions.k8s.io/v1';
const V1BETA1 = 'apiextensions.k8s.io/v1beta1';

export function isCustomResourceDefinition(apiVersion: string, kind: string): boolean {
  return kind === 'CustomResourceDefinition' && (apiVersion === V1 || apiVersion === V1BETA1);
}

/** Takes a CRD of either version and returns the v1 object that a server answers. */
export function toCustomResourceDefinitionV1(stored: unknown): unknown {
  if (!isJsonObject(stored)) return stored;
  const fromBeta = stored['apiVersion'] === V1BETA1;
  // Copied, so that embedded schemas are written anew, as conversion does; metadata keeps its text.
  const spec = isJsonObject(stored['spec']) ? (copy(stored['spec']) as Json) : {};
  const status: Json = isJsonObject(stored['status']) ? { ...stored['status'] } : {};
  setDefaults(spec, fromBeta);
  const versions = Array.isArray(spec['versions']) ? (spec['versions'] as unknown[]).filter(isJsonObject) : [];
  if (!Array.isArray(status['storedVersions']) || status['storedVersions'].length === 0) {
    const storage = versions.find((version) => version['storage'] === true);
    if (storage !== undefined) status['storedVersions'] = [storage['name']];
  }
  if (fromBeta) convertSpec(spec, versions);
  return { ...stored, apiVersion: V1, spec, status };
}

function setDefaults(spec: Json, fromBeta: boolean): void {
  const names = isJsonObject(spec['names']) ? spec['names'] : {};
  spec['names'] = names;
  const kind = typeof names['kind'] === 'string' ? names['kind'] : '';
  if (!names['singular']) names['singular'] = kind.toLowerCase();
  if (!names['listKind'] && kind !== '') names['listKind'] = `${kind}List`;
  if (!isJsonObject(spec['conversion'])) spec['conversion'] = { strategy: 'None' };
  const conversion = spec['conversion'] as Json;
  if (fromBeta) {
    if (!spec['scope']) spec['scope'] = 'Namespaced';
    if ((!Array.isArray(spec['versions']) || spec['versions'].length === 0) && spec['version']) {
      spec['versions'] = [{ name: spec['version'], served: true, storage: true }];
    }
    const reviewVersions = conversion['conversionReviewVersions'];
    if (conversion['strategy'] === 'Webhook' && !(Array.isArray(reviewVersions) && reviewVersions.length > 0)) {
      conversion['conversionReviewVersions'] = ['v1beta1'];
    }
    if (typeof spec['preserveUnknownFields'] !== 'boolean') spec['preserveUnknownFields'] = true;
    setServicePort(conversion['webhookClientConfig']);
  } else if (isJsonObject(conversion['webhook'])) {
    setServicePort(conversion['webhook']['clientConfig']);
  }
}

function setServicePort(clientConfig: unknown): void {
  const service = isJsonObject(clientConfig) ? clientConfig['service'] : undefined;
  if (isJsonObject(service)) service['port'] ??= 443;
}

function convertSpec(spec: Json, versions: Json[]): void {
  for (const version of versions) renameJsonPath(version['additionalPrinterColumns']);
  renameJsonPath(spec['additionalPrinterColumns']);
  for (const version of versions) {
    if (isJsonObject(spec['subresources'])) version['subresources'] = spec['subresources'];
    if (isJsonObject(spec['validation'])) version['schema'] = spec['validation'];
    if (Array.isArray(spec['additionalPrinterColumns'])) {
      version['additionalPrinterColumns'] = spec['additionalPrinterColumns'];
    }
    if (Array.isArray(spec['selectableFields'])) version['selectableFields'] = spec['selectableFields'];
  }
  for (const member of ['version', 'validation', 'subresources', 'additionalPrinterColumns', 'selectableFields']) {
    delete spec[member];
  }
  const conversion = spec['conversion'] as Json;
  const clientConfig = conversion['webhookClientConfig'];
  const reviewVersions = conversion['conversionReviewVersions'];
  delete conversion['webhookClientConfig'];
  delete conversion['conversionReviewVersions'];
  if (isJsonObject(clientConfig) || Array.isArray(reviewVersions)) {
    conversion['webhook'] = {
      ...(isJsonObject(clientConfig) ? { clientConfig } : {}),
      ...(Array.isArray(reviewVersions) ? { conversionReviewVersions: reviewVersions } : {}),
    };
  }
}

function renameJsonPath(columns: unknown): void {
  if (!Array.isArray(columns)) return;
  for (const column of columns) {
    if (!isJsonObject(column) || !('JSONPath' in column)) continue;
    column['jsonPath'] = column['JSONPath'];
    delete column['JSONPath'];
  }
}

/** APIServices are stored as v1 JSON; the only default is the port of a service reference. */
export function withServicePort(stored: unknown): unknown {
  const spec = isJsonObject(stored) ? stored['spec'] : undefined;
  const service = isJsonObject(spec) ? spec['service'] : undefined;
  if (!isJsonObject(stored) || !isJsonObject(spec) || !isJsonObject(service)) return stored;
  return { ...stored, spec: { ...spec, service: { ...service, port: service['port'] ?? 443 } } };
}

/** A deep copy that forgets how the text was written; numbers become what Go's interface{} holds. */
function copy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copy);
  if (value instanceof JsonNumber) return value.valueOf();
  if (isJsonObject(value)) {
    const result: Json = {};
    for (const [key, member] of Object.entries(value)) {
      Object.defineProperty(result, key, { value: copy(member), enumerable: true, configurable: true, writable: true });
    }
    return result;
  }
  if (typeof value === 'bigint' && BigInt.asIntN(64, value) !== value) return Number(value);
  return value;
}
