import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import { SourceError } from '../source.js';

/**
 * etcd's messages, compiled from proto/etcd/rpc.proto at first use. Requests are small, and the responses
 * decoded here are rare; what arrives in bulk (ranges, watches) is skimmed instead, see skim.ts.
 */
export const METHODS = {
  range: '/etcdserverpb.KV/Range',
  txn: '/etcdserverpb.KV/Txn',
  compact: '/etcdserverpb.KV/Compact',
  watch: '/etcdserverpb.Watch/Watch',
  leaseGrant: '/etcdserverpb.Lease/LeaseGrant',
  leaseRevoke: '/etcdserverpb.Lease/LeaseRevoke',
  leaseKeepAlive: '/etcdserverpb.Lease/LeaseKeepAlive',
  status: '/etcdserverpb.Maintenance/Status',
  authenticate: '/etcdserverpb.Auth/Authenticate',
} as const;

/** A 64-bit number as protobufjs takes and gives it. */
export interface Int64 {
  readonly low: number;
  readonly high: number;
  readonly unsigned: boolean;
}

export function toInt64(value: bigint): Int64 {
  return { low: Number(BigInt.asIntN(32, value)), high: Number(BigInt.asIntN(32, value >> 32n)), unsigned: false };
}

export function fromInt64(value: Int64 | number): bigint {
  if (typeof value === 'number') return BigInt(value);
  return (BigInt(value.high) << 32n) | BigInt(value.low >>> 0);
}

let root: protobuf.Root | undefined;

export function messageType(name: string): protobuf.Type {
  root ??= protobuf.parse(readFileSync(new URL('../../../../proto/etcd/rpc.proto', import.meta.url), 'utf8'), {
    keepCase: true,
  }).root;
  return root.lookupType(`etcdserverpb.${name}`);
}

export function encode(name: string, fields: object): Buffer {
  const bytes = messageType(name).encode(fields).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** The caller says which fields it expects, as rpc.proto has them; absent ones have protobuf's defaults. */
export function decode<T>(name: string, bytes: Uint8Array): T {
  try {
    return messageType(name).decode(bytes) as unknown as T;
  } catch (error) {
    throw new SourceError('corrupt', `etcd: cannot parse a ${name}: ${(error as Error).message}`);
  }
}
