import { isIP } from 'node:net';
import { groupResourceOf } from '../api/gvr.js';
import type { Kind } from '../codec/kind.js';
import { kinds } from '../codec/kinds.js';
import { UsageError } from './usage-error.js';

/**
 * Readers of flag values. Each takes the flag's name for its message and the text as typed, and
 * throws a UsageError that says what is wrong and what would be right.
 */
export type ValueReader<T> = (flag: string, text: string) => T;

export function bad(flag: string, text: string, right: string): UsageError {
  return new UsageError(`--${flag} ${JSON.stringify(text)}: ${right}`);
}

export const readText: ValueReader<string> = (flag, text) => {
  if (text === '') throw bad(flag, text, 'a value is needed');
  return text;
};

export const readBoolean: ValueReader<boolean> = (flag, text) => {
  if (['true', 't', '1'].includes(text.toLowerCase())) return true;
  if (['false', 'f', '0'].includes(text.toLowerCase())) return false;
  throw bad(flag, text, 'expected true or false');
};

export function readInteger(min: number, max: number): ValueReader<number> {
  return (flag, text) => {
    const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) throw bad(flag, text, `expected a whole number from ${min} to ${max}`);
    return value;
  };
}

export const readPort: ValueReader<number> = (flag, text) => {
  const value = /^[0-9]{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 65_535)) throw bad(flag, text, 'expected a port from 1 to 65535, or 0 to switch the listener off');
  return value;
};

const durationUnitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const DURATION_MAX_MS = 100 * 24 * 3_600_000;

/** Go's duration notation, as kube-apiserver's flags take it: `30s`, `1m0s`, `1h30m`, `250ms`, `0`. */
export const readDurationMs: ValueReader<number> = (flag, text) => {
  if (text === '0') return 0;
  const right = 'expected a duration such as 30s, 1m0s or 1h';
  if (!/^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$/.test(text)) throw bad(flag, text, right);
  let totalMs = 0;
  for (const [, amount, , unit] of text.matchAll(/([0-9]+(\.[0-9]+)?)(ms|s|m|h)/g)) {
    totalMs += Number(amount) * durationUnitsMs[unit!]!;
  }
  if (totalMs > DURATION_MAX_MS) throw bad(flag, text, 'longer than 100 days');
  return Math.round(totalMs);
};

const GOAWAY_CHANCE_MAX = 0.02;

/** The bound, and what is said of it, are kube-apiserver's. */
export const readGoAwayChance: ValueReader<number> = (flag, text) => {
  const chance = /^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]{1,3})?$/i.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(chance)) throw bad(flag, text, 'expected a number from 0 to 0.02, such as 0.001');
  if (chance < 0 || chance > GOAWAY_CHANCE_MAX) {
    throw new UsageError(`--${flag} can not be less than 0 or greater than ${GOAWAY_CHANCE_MAX}`);
  }
  return chance;
};

/** Of a replay: `0.5`, `10`, or `max`, which is infinity. */
export const readSpeed: ValueReader<number> = (flag, text) => {
  if (text === 'max') return Number.POSITIVE_INFINITY;
  const value = /^[0-9]{1,6}(\.[0-9]{1,6})?$/.test(text) ? Number(text) : 0;
  if (!(value > 0)) throw bad(flag, text, 'expected a factor such as 0.5 or 10, or max');
  return value;
};

const byteUnits: Readonly<Record<string, number>> = { '': 1, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 };

export const readBytes: ValueReader<number> = (flag, text) => {
  const match = /^([0-9]{1,13})(?:(Ki|Mi|Gi)B?)?$/.exec(text);
  const value = match === null ? Number.NaN : Number(match[1]) * byteUnits[match[2] ?? '']!;
  if (!(value > 0 && value <= 2 ** 40)) throw bad(flag, text, 'expected a number of bytes such as 67108864 or 64Mi');
  return value;
};

export function readOneOf<T extends string>(...choices: readonly T[]): ValueReader<T> {
  return (flag, text) => {
    const found = choices.find((choice) => choice === text);
    if (found === undefined) throw bad(flag, text, `expected ${choices.join(' or ')}`);
    return found;
  };
}

/** An empty item is a typing error (`a,,b`, a trailing comma), not an item. */
export const readList: ValueReader<readonly string[]> = (flag, text) => {
  const items = text.split(',').map((item) => item.trim());
  if (items.includes('')) throw bad(flag, text, 'expected a comma-separated list without empty items');
  return items;
};

export const readEndpoints: ValueReader<readonly string[]> = (flag, text) =>
  readList(flag, text).map((item) => {
    let url: URL;
    try {
      url = new URL(item);
    } catch {
      throw bad(flag, item, 'expected URLs such as https://127.0.0.1:2379');
    }
    if (url.protocol !== 'http:' && url.protocol !== 'https:') {
      throw bad(flag, item, 'expected an http:// or https:// URL, such as https://127.0.0.1:2379');
    }
    if (url.username !== '' || url.password !== '') {
      throw bad(
        flag,
        `${url.protocol}//...@${url.host}`,
        'give the user with --etcd-user and --etcd-password-file, not in the URL',
      );
    }
    if ((url.pathname !== '/' && url.pathname !== '') || url.search !== '' || url.hash !== '') {
      throw bad(flag, item, 'expected a URL without a path; --etcd-prefix takes the prefix of the keys');
    }
    return `${url.protocol}//${url.host}`;
  });

/** kube-apiserver adds the leading slash and trims trailing ones (spec 1.1). */
export const readPrefix: ValueReader<string> = (flag, text) => {
  const segments = text.split('/').filter((segment) => segment !== '');
  if (segments.length === 0) throw bad(flag, text, 'expected a key prefix such as /registry');
  if (/[\s%]/.test(text)) throw bad(flag, text, 'a key prefix has no spaces and no %');
  return `/${segments.join('/')}`;
};

/** Which addresses only this machine can reach. */
export function isLoopback(address: string): boolean {
  if (address === 'localhost') return true;
  if (isIP(address) === 4) return address.startsWith('127.');
  return address === '::1' || /^::ffff:127\./i.test(address);
}

/** Any address of this machine. */
export const readBindAddress: ValueReader<string> = (flag, text) => {
  if (isLoopback(text) || isIP(text) !== 0) return text;
  throw bad(flag, text, 'expected an IP address such as 127.0.0.1');
};

/** Where nobody has to say who they are, whoever can connect can read every Secret: loopback only. */
export const readLoopbackAddress: ValueReader<string> = (flag, text) => {
  const address = readBindAddress(flag, text);
  if (isLoopback(address)) return address;
  throw bad(
    flag,
    text,
    'only loopback addresses (127.0.0.1, ::1) are accepted without authentication: anyone who can connect could read every Secret',
  );
};

/**
 * Whether a flag's `foos.ex.io` can only be meant for a CustomResourceDefinition: its group is none of ours, and has a
 * dot, as the groups of all CRDs have. Whether there is such a CRD is known later.
 */
export function isCustomResource(text: string): boolean {
  const match = /^[a-z]([-a-z0-9]*[a-z0-9])?\.([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+)$/.exec(
    text,
  );
  return match !== null && !kinds.some(({ group }) => group === match[2]);
}

/**
 * `pods`, `deployments.apps`: a resource with its group, as Kubernetes writes it; the group may be
 * left out where one name means one thing. Answers every served version of it.
 */
export function readKinds(flag: string, text: string): readonly Kind[] {
  const dot = text.indexOf('.');
  const resource = dot === -1 ? text : text.slice(0, dot);
  const group = dot === -1 ? undefined : text.slice(dot + 1);
  const named = kinds.filter((kind) => kind.resource === resource);
  const core = named.filter((kind) => kind.group === (group ?? ''));
  if (core.length > 0) return core;
  const groups = new Set(named.map((kind) => kind.group));
  if (group === undefined && groups.size === 1) return named;
  if (groups.size > 0) {
    const right = [...groups].map((other) => groupResourceOf(other, resource)).join(' or ');
    throw bad(flag, text, `no such resource; did you mean ${right}?`);
  }
  throw bad(flag, text, 'no such resource; expected for example pods or deployments.apps');
}
