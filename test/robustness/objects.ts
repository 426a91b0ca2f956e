import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../support/command.js';

// What the tests put into etcd. Protobuf values are Go's own (fixtures/golden), so nothing here depends on our encoder.

export interface GoldenPair {
  readonly apiVersion: string;
  readonly kind: string;
  /** As in etcd. */
  readonly stored: Buffer;
}

/** One value of a kind, as kube-apiserver stored it. */
export function golden(kind: string, apiVersion = 'v1'): GoldenPair {
  const file = join(repositoryRoot, 'fixtures/golden/pairs.ndjson');
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (line === '') continue;
    const pair = JSON.parse(line) as { apiVersion: string; kind: string; stored: string };
    if (pair.kind === kind && pair.apiVersion === apiVersion)
      return { ...pair, stored: Buffer.from(pair.stored, 'base64') };
  }
  throw new Error(`no golden pair of ${apiVersion} ${kind}`);
}

/** A ConfigMap as a server with JSON storage leaves it. */
export function configMap(namespace: string, name: string, data: Record<string, string> = { a: 'b' }): string {
  const metadata = { name, namespace, uid: `uid-${name}`, creationTimestamp: '2026-01-01T00:00:00Z' };
  return `${JSON.stringify({ kind: 'ConfigMap', apiVersion: 'v1', metadata, data })}\n`;
}

export const configMapKey = (namespace: string, name: string) => `/registry/configmaps/${namespace}/${name}`;

/** `k8s\0` around any type and any bytes. */
export function envelope(apiVersion: string, kind: string, raw: Uint8Array): Buffer {
  const typeMeta = Buffer.concat([field(1, Buffer.from(apiVersion)), field(2, Buffer.from(kind))]);
  return Buffer.concat([Buffer.from('k8s\0'), field(1, typeMeta), field(2, raw), Buffer.from('1a002200', 'hex')]);
}

/** A length-delimited protobuf field. */
export function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Buffer.from([...bytes, rest]);
}
