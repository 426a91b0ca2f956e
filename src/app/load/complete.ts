import type { Kind } from '../../codec/kind.js';
import { kindByObject, kinds } from '../../codec/kinds.js';
import { apiVersionOf } from '../../api/gvr.js';
import type { Random } from '../../lib/random.js';
import { established, isDefinition } from './definition.js';

/** What a server would have set at creation, where the manifest does not say it. */
export type Completed =
  | {
      readonly ok: true;
      readonly kind: Kind;
      readonly object: Record<string, unknown>;
      readonly namespace: string | undefined;
      readonly name: string;
    }
  | { readonly ok: false; readonly message: string };

const NAME_MAX = 253;
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const GENERATED_PREFIX_MAX = 58; // generateName is cut so that a label value (63) holds the name
const SUFFIX_LENGTH = 5;

/**
 * Fills in uid, creationTimestamp, namespace and, from generateName, the name; drops resourceVersion
 * and selfLink, which the store assigns. Everything else is kept as written.
 */
export function completeObject(
  value: unknown,
  nowMs: number,
  random: Random,
  kindOf: (apiVersion: string, kind: string) => Kind | undefined = kindByObject,
): Completed {
  if (!isRecord(value)) return refused(`expected an object, found ${nameOf(value)}`);
  const { apiVersion, kind: kindName } = value;
  if (typeof apiVersion !== 'string' || apiVersion === '') return refused('apiVersion: missing');
  if (typeof kindName !== 'string' || kindName === '') return refused('kind: missing');
  const kind = kindOf(apiVersion, kindName);
  if (kind === undefined) return refused(unknownKind(apiVersion, kindName));
  if (!kind.servedByDefault) return refused(`${apiVersion} ${kindName}: not a version that is served`);
  const given = value['metadata'];
  if (!isRecord(given)) return refused(given === undefined ? 'metadata: missing' : 'metadata: expected an object');

  const metadata: Record<string, unknown> = { ...given };
  delete metadata['resourceVersion'];
  delete metadata['selfLink'];
  for (const field of ['name', 'generateName', 'namespace', 'uid'] as const) {
    const text = metadata[field];
    if (text === undefined || text === null || text === '') delete metadata[field];
    else if (typeof text !== 'string') return refused(`metadata.${field}: expected a string, found ${nameOf(text)}`);
  }
  if (metadata['name'] === undefined) {
    const prefix = metadata['generateName'];
    if (typeof prefix !== 'string') return refused('metadata.name: missing, and there is no generateName');
    metadata['name'] = prefix.slice(0, GENERATED_PREFIX_MAX) + randomSuffix(random);
  }
  const name = metadata['name'] as string;
  const problem = nameProblem(name);
  if (problem !== undefined) return refused(`metadata.name ${JSON.stringify(name)}: ${problem}`);

  if (kind.namespaced) metadata['namespace'] ??= 'default';
  else delete metadata['namespace'];
  const namespace = metadata['namespace'] as string | undefined;
  if (namespace !== undefined && !NAMESPACE.test(namespace)) {
    return refused(
      `metadata.namespace ${JSON.stringify(namespace)}: expected at most 63 lower-case letters, digits and -`,
    );
  }
  metadata['uid'] ??= random.uuid();
  metadata['creationTimestamp'] ??= `${new Date(nowMs).toISOString().slice(0, 19)}Z`;
  if (kind.custom !== undefined) metadata['generation'] ??= 1;
  const object = { ...value, metadata };
  return { ok: true, kind, object: isDefinition(kind) ? established(object) : object, namespace, name };
}

function unknownKind(apiVersion: string, kindName: string): string {
  const slash = apiVersion.indexOf('/');
  const group = slash === -1 ? '' : apiVersion.slice(0, slash);
  const elsewhere = kinds.filter((kind) => kind.kind === kindName);
  const builtInGroup = kinds.some((kind) => kind.group === group);
  if (elsewhere.length > 0 && (builtInGroup || !group.includes('.'))) {
    const versions = [...new Set(elsewhere.map((kind) => apiVersionOf(kind.group, kind.version)))].join(', ');
    return `apiVersion ${apiVersion}: ${kindName} is known as ${versions}`;
  }
  if (builtInGroup) return `kind ${kindName}: no such kind in ${apiVersion}`;
  return `${apiVersion} ${kindName}: not a built-in kind, and no CustomResourceDefinition before it defines it`;
}

/** The rules that hold for names of every kind (path segments, spec 1.1). */
function nameProblem(name: string): string | undefined {
  if (name === '.' || name === '..') return 'may not be . or ..';
  if (/[/%]/.test(name)) return 'may not contain / or %';
  if (name.length > NAME_MAX) return `may not be longer than ${NAME_MAX} characters`;
  return undefined;
}

function randomSuffix(random: Random): string {
  const alphabet = 'bcdfghjklmnpqrstvwxz2456789';
  return Array.from({ length: SUFFIX_LENGTH }, () => alphabet[random.int(alphabet.length)]).join('');
}

function refused(message: string): Completed {
  return { ok: false, message };
}

function nameOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
