import { parseDurationMs } from '../api/duration.js';
import { textMember } from '../lib/is-object.js';
import type { KmsSettings } from './kms-plugin.js';

/** What may stand under `kms:`. */
export const KMS_FIELDS = ['apiVersion', 'name', 'cachesize', 'endpoint', 'timeout'];
const TIMEOUT_DEFAULT_MS = 3_000;

/**
 * A KMS provider of a configuration, checked in the order and the words of apiserver/validation. `names`: of the providers
 * before it, which this one joins. Undefined: there were problems.
 */
export function readKms(
  kms: Readonly<Record<string, unknown>>,
  path: string,
  names: Set<string>,
  problems: string[],
): KmsSettings | undefined {
  const before = problems.length;
  const apiVersion = textMember(kms, 'apiVersion');
  const name = textMember(kms, 'name');
  const endpoint = textMember(kms, 'endpoint');
  if (name === '') problems.push(`${path}.name: Required value: name is a mandatory field for a provider`);
  if (name.includes(':')) {
    problems.push(
      `${path}.name: Invalid value: ${quoted(name)}: invalid KMS provider name ${name}, must not contain ':'`,
    );
  }
  if (names.has(name)) {
    problems.push(
      `${path}.name: Invalid value: ${quoted(name)}: duplicate KMS provider name ${name}, names must be unique`,
    );
  }
  names.add(name);
  const timeoutMs = readTimeout(kms['timeout'], `${path}.timeout`, problems);
  const socket = readEndpoint(endpoint, `${path}.endpoint`, problems);
  const cacheSize = kms['cachesize'];
  if (apiVersion === 'v2' && cacheSize !== undefined && cacheSize !== null) {
    problems.push(`${path}.cachesize: Invalid value: ${JSON.stringify(cacheSize)}: cachesize is not supported in v2`);
  }
  const problem = versionProblem(apiVersion);
  if (problem !== undefined) {
    problems.push(`${path}.apiVersion: Invalid value: ${quoted(apiVersion)}: ${problem}`);
  }
  if (problems.length > before) return undefined;
  return { name, endpoint, path: socket!, timeoutMs: timeoutMs! };
}

/** kube-apiserver takes v1 for what does not say its version, and refuses it unless the gate KMSv1 is on. */
function versionProblem(apiVersion: string): string | undefined {
  if (apiVersion === 'v2') return undefined;
  if (apiVersion !== '' && apiVersion !== 'v1') {
    return 'unsupported apiVersion apiVersion for KMS provider, only v2 is supported';
  }
  const said = apiVersion === '' ? ', which is meant where no apiVersion is given,' : '';
  return `KMS v1${said} is deprecated in Kubernetes and not supported by listwatch: use v2`;
}

function readTimeout(given: unknown, path: string, problems: string[]): number | undefined {
  if (given === undefined || given === null) return TIMEOUT_DEFAULT_MS;
  const read = typeof given === 'string' ? parseDurationMs(given) : undefined;
  if (read?.ok !== true) {
    problems.push(`${path}: Invalid value: ${JSON.stringify(given)}: expected a duration such as 3s`);
    return undefined;
  }
  if (read.value > 0) return read.value;
  problems.push(`${path}: Invalid value: ${quoted(String(given))}: timeout should be a positive value`);
  return undefined;
}

/** The path of the socket, as k8s.io/kms/pkg/util reads it: the host of the URL does not count. */
function readEndpoint(endpoint: string, path: string, problems: string[]): string | undefined {
  if (endpoint === '') {
    problems.push(`${path}: Invalid value: "": endpoint is a mandatory field for a kms`);
    return undefined;
  }
  const invalid = (problem: string) => {
    problems.push(`${path}: Invalid value: ${quoted(endpoint)}: ${problem}`);
    return undefined;
  };
  const scheme = /^([a-zA-Z][-+.a-zA-Z0-9]*):/.exec(endpoint)?.[1]?.toLowerCase() ?? '';
  if (scheme !== 'unix') {
    return invalid(`unsupported scheme ${quoted(scheme)} for KMS provider, only unix is supported`);
  }
  let socket: string;
  try {
    socket = decodeURIComponent(new URL(endpoint).pathname);
  } catch {
    return invalid('invalid endpoint for kms provider, error: it is not a URL');
  }
  if (!/^\/./.test(socket) || socket.includes('\0')) {
    return invalid('invalid endpoint for kms provider, error: expected unix:///path/of/the.sock');
  }
  return socket.startsWith('/@') ? socket.slice(1) : socket;
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 128));
}
