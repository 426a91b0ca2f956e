import { parse } from 'yaml';
import { isObject } from '../lib/is-object.js';
import { aescbc, aesgcm, secretbox } from './ciphers.js';
import { KMS_FIELDS, readKms } from './kms-configuration.js';
import type { KmsSettings } from './kms-plugin.js';
import { byteString, keyedProvider, type Transformer } from './transformer.js';

/** What the file says. */
export interface EncryptionFile {
  /** `secrets`, `deployments.apps`, `*.apps`, `*.` (the core group) or `*.*` -> providers with their keys, in order. */
  readonly providers: ReadonlyMap<string, readonly Provider[]>;
  /** The KMS providers among them, in the order of the file. */
  readonly kms: readonly KmsSettings[];
}

/** KMS providers are settings, until somebody connects them. */
export type Provider = Transformer | KmsSettings;

/** The same, with KMS providers that are connected. */
export type EncryptionConfiguration = ReadonlyMap<string, readonly Transformer[]>;

const API_VERSIONS = ['apiserver.config.k8s.io/v1'];
const PROVIDERS = { aescbc, aesgcm, secretbox } as const;
const FIELDS = ['kms', 'aesgcm', 'aescbc', 'secretbox', 'identity'];
const AES_SIZES = [16, 24, 32];
const SECRETBOX_SIZES = [32];

/** Every problem of the file, each with its path, in the words of apiserver/validation. No text has a key in it. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}

/** Reads an EncryptionConfiguration, YAML or JSON. Throws ConfigurationError. */
export function readEncryptionConfiguration(text: string): EncryptionFile {
  let file: unknown;
  try {
    file = parse(text);
  } catch (error) {
    // The parser quotes the line, which may hold a key: only the place is told.
    const place = (error as { linePos?: readonly { line: number; col: number }[] }).linePos?.[0];
    throw new ConfigurationError(`not YAML${place === undefined ? '' : ` (line ${place.line}, column ${place.col})`}`);
  }
  if (!isObject(file)) throw new ConfigurationError('expected an EncryptionConfiguration');
  if (file['kind'] !== 'EncryptionConfiguration' || !API_VERSIONS.includes(String(file['apiVersion']))) {
    throw new ConfigurationError(
      `expected kind EncryptionConfiguration of apiVersion ${API_VERSIONS[0]}, got kind ${shown(file['kind'])} of apiVersion ${shown(file['apiVersion'])}`,
    );
  }
  const problems: string[] = [];
  unknown(file, ['apiVersion', 'kind', 'resources'], '', problems);
  const configuration = new Map<string, Provider[]>();
  const kms: KmsSettings[] = [];
  const kmsNames = new Set<string>();
  const entries = list(file['resources'], 'resources', problems);
  if (entries.length === 0) problems.push('resources: Required value: at least one resources is required');
  for (const [index, entry] of entries.entries()) {
    const path = `resources[${index}]`;
    if (!isObject(entry)) {
      problems.push(`${path}: Invalid value: expected an object`);
      continue;
    }
    unknown(entry, ['resources', 'providers'], `${path}.`, problems);
    const resources = list(entry['resources'], `${path}.resources`, problems).filter(
      (name) => typeof name === 'string',
    );
    validateResources(resources, `${path}.resources`, problems);
    const providers = list(entry['providers'], `${path}.providers`, problems);
    if (providers.length === 0) {
      problems.push(`${path}.providers: Required value: at least one ${path}.providers is required`);
    }
    const read = providers.flatMap((provider, at) =>
      readProvider(provider, `${path}.providers[${at}]`, kmsNames, problems),
    );
    kms.push(...read.filter((provider) => 'endpoint' in provider));
    for (const resource of resources) addTo(configuration, canonical(resource), read, problems);
  }
  if (problems.length > 0) {
    throw new ConfigurationError(problems.length === 1 ? problems[0]! : `[${problems.join(', ')}]`);
  }
  return { providers: configuration, kms };
}

/** `transformerOf`: of a KMS provider that is connected. */
export function connected(
  { providers }: EncryptionFile,
  transformerOf: (settings: KmsSettings) => Transformer,
): EncryptionConfiguration {
  const connect = (provider: Provider) => ('endpoint' in provider ? transformerOf(provider) : provider);
  return new Map([...providers].map(([resource, all]) => [resource, all.map(connect)]));
}

/** The providers of a resource: its own entry, else its group's, else the one of all. Undefined: none. */
export function transformersOf(
  configuration: EncryptionConfiguration,
  group: string,
  resource: string,
): readonly Transformer[] | undefined {
  for (const name of namesOf(group, resource)) {
    const found = configuration.get(name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The names under which a configuration may have a resource; the first one that it has counts. */
export function namesOf(group: string, resource: string): readonly string[] {
  // Events are stored as those of the core group, whichever group is asked.
  const stored = group === 'events.k8s.io' ? '' : group;
  return [`${resource}.${stored}`, `*.${stored}`, '*.*'];
}

/** Anything but `identity` alone. */
export function isEncrypted(transformers: readonly Transformer[] | undefined): boolean {
  return transformers?.some(({ prefix }) => prefix !== '') === true;
}

/** With the dot, also for the core group. */
function canonical(resource: string): string {
  return resource.includes('.') ? resource : `${resource}.`;
}

function addTo(into: Map<string, Provider[]>, name: string, added: readonly Provider[], problems: string[]): void {
  const group = name.slice(name.indexOf('.') + 1);
  for (const earlier of [`*.${group}`, '*.*']) {
    if (!into.has(earlier)) continue;
    const said = name.endsWith('.') && !name.startsWith('*') ? name.slice(0, -1) : name;
    problems.push(`resource ${JSON.stringify(said)} is masked by earlier rule ${JSON.stringify(earlier)}`);
    return;
  }
  into.set(name, [...(into.get(name) ?? []), ...added]);
}

function validateResources(resources: readonly string[], path: string, problems: string[]): void {
  if (resources.length === 0) problems.push(`${path}: Required value: at least one ${path} is required`);
  const names = resources.map(canonical);
  const all = JSON.stringify(resources);
  if (new Set(names).size < names.length) {
    problems.push(`${path}: Invalid value: ${all}: the same resource cannot be specified multiple times`);
  }
  const groupOf = (name: string) => name.slice(name.indexOf('.') + 1);
  const overlaps = names.some((one) =>
    names.some(
      (other) => one !== other && (one === '*.*' || (one.startsWith('*.') && groupOf(one) === groupOf(other))),
    ),
  );
  if (overlaps) {
    problems.push(
      `${path}: Invalid value: ${all}: using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they will be masked`,
    );
  }
  for (const [index, name] of resources.entries()) {
    const problem = resourceProblem(name);
    if (problem !== undefined) problems.push(`${path}[${index}]: Invalid value: ${JSON.stringify(name)}: ${problem}`);
  }
}

function resourceProblem(name: string): string | undefined {
  if (name !== name.toLowerCase()) return 'resource name should not contain capital letters';
  if (name === '*') return "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources";
  if (['apiserveripinfo', 'serviceipallocations', 'servicenodeportallocations'].includes(name)) {
    return 'resources which do not have REST API/s cannot be encrypted';
  }
  const full = canonical(name);
  const group = full.slice(full.indexOf('.') + 1);
  if (group === 'events.k8s.io') {
    return "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the config file";
  }
  if (group === 'extensions') return "'extensions' group has been removed and cannot be used for encryption";
  if (group === '*' && name !== '*.*') return 'encrypting the same resource across groups is not supported';
  return undefined;
}

function readProvider(provider: unknown, path: string, kmsNames: Set<string>, problems: string[]): Provider[] {
  const given = isObject(provider) ? provider : {};
  unknown(given, FIELDS, `${path}.`, problems);
  const found = FIELDS.filter((field) => isObject(given[field]));
  const [name] = found;
  if (name === undefined) {
    problems.push(
      `${path}: Invalid value: provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity`,
    );
    return [];
  }
  if (found.length > 1) {
    problems.push(
      `${path}: Invalid value: more than one provider specified in a single element, should split into different list elements`,
    );
    return [];
  }
  if (name === 'identity') return [{ prefix: '', open: (data) => data }];
  const settings = given[name] as Record<string, unknown>;
  if (name === 'kms') {
    unknown(settings, KMS_FIELDS, `${path}.kms.`, problems);
    const kms = readKms(settings, `${path}.kms`, kmsNames, problems);
    return kms === undefined ? [] : [kms];
  }
  unknown(settings, ['keys'], `${path}.${name}.`, problems);
  const cipher = name as keyof typeof PROVIDERS;
  const keys = readKeys(cipher, settings['keys'], `${path}.${name}.keys`, problems);
  const noMatch = `no matching key was found for the provided ${name === 'secretbox' ? 'Secretbox' : 'AES'} transformer`;
  return [keyedProvider(`k8s:enc:${name}:v1:`, keys, noMatch)];
}

function readKeys(name: keyof typeof PROVIDERS, value: unknown, path: string, problems: string[]): Transformer[] {
  const keys = list(value, path, problems);
  if (keys.length === 0) problems.push(`${path}: Required value: at least one keys is required`);
  const sizes = name === 'secretbox' ? SECRETBOX_SIZES : AES_SIZES;
  return keys.flatMap((given, index) => {
    const at = `${path}[${index}]`;
    const key = isObject(given) ? given : {};
    unknown(key, ['name', 'secret'], `${at}.`, problems);
    const before = problems.length;
    const { name: keyName, secret } = key;
    if (typeof keyName !== 'string' || keyName === '') {
      problems.push(`${at}.name: Required value: name is a mandatory field for a key`);
    }
    if (typeof secret !== 'string' || secret === '') {
      problems.push(`${at}.secret: Required value: secret is a mandatory field for a key`);
      return [];
    }
    const text = secret.replace(/[\r\n]/g, '');
    const bytes = Buffer.from(text, 'base64');
    if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
      problems.push(`${at}.secret: Invalid value: "REDACTED": secrets must be base64 encoded`);
    } else if (!sizes.includes(bytes.length)) {
      problems.push(
        `${at}.secret: Invalid value: "REDACTED": secret is not of the expected length, got ${bytes.length}, expected one of [${sizes.join(' ')}]`,
      );
    }
    if (problems.length > before) return [];
    return [{ prefix: byteString(`${keyName as string}:`), open: PROVIDERS[name](bytes) }];
  });
}

function list(value: unknown, path: string, problems: string[]): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  problems.push(`${path}: Invalid value: expected a list`);
  return [];
}

/** kube-apiserver decodes the file strictly. */
function unknown(object: Record<string, unknown>, known: readonly string[], path: string, problems: string[]): void {
  for (const field of Object.keys(object)) {
    if (!known.includes(field)) problems.push(`strict decoding error: unknown field ${JSON.stringify(path + field)}`);
  }
}

/** A type name, cut off: it may be anything. */
function shown(value: unknown): string {
  return value === undefined ? 'none' : JSON.stringify(String(value).slice(0, 64));
}
