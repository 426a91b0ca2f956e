import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { NO_REVISION } from '../api/revision.js';
import { UsageError } from '../app/usage-error.js';
import { CodecError } from '../codec/codec.js';
import { encodingOf, openEnvelope, unreadable } from '../codec/envelope.js';
import { JsonSyntaxError, parseJson } from '../codec/json-parse.js';
import { createKindCodec } from '../codec/kind-codec.js';
import { kindByDirectory, kindByObject, kinds } from '../codec/kinds.js';
import type { Kind } from '../codec/kind.js';
import { protoText } from '../codec/proto-text.js';
import { spliceJson } from '../codec/splice.js';
import { createWriter } from '../codec/writer.js';
import { toYaml } from '../codec/yaml.js';
import { isObject } from '../lib/is-object.js';

/**
 * `listwatch decode`: what etcd holds, readable. One raw value, or a whole dump of
 * `etcdctl get --prefix -w json`, through the very codec that the server uses.
 */
const outputs = ['json', 'yaml', 'proto-text'] as const;
type Output = (typeof outputs)[number];

export function addDecodeCommand(program: Command): void {
  program
    .command('decode')
    .description('print a value from etcd, or a dump of `etcdctl get --prefix -w json`, from standard input')
    .option('-o, --output <format>', `one of ${outputs.join(', ')}`, 'yaml')
    .option('--key <key>', 'the etcd key of the value, to tell its kind and to name it in errors')
    .allowExcessArguments(false)
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  etcdctl get --print-value-only /registry/pods/default/web | listwatch decode',
        '  etcdctl get --prefix /registry/pods/ -w json | listwatch decode -o json',
      ].join('\n'),
    )
    .action((flags: { output: string; key?: string }) => {
      const output = outputs.find((name) => name === flags.output);
      if (output === undefined) {
        throw new UsageError(`--output ${JSON.stringify(flags.output)}: expected one of ${outputs.join(', ')}`);
      }
      process.stdout.write(decode(readInput(), output, flags.key));
    });
}

function readInput(): Buffer {
  try {
    return readFileSync(0);
  } catch (error) {
    throw new UsageError(`cannot read standard input: ${error instanceof Error ? error.message : String(error)}`);
  }
}

interface Stored {
  readonly key: string | undefined;
  readonly value: Uint8Array;
  /** undefined for a raw value, which does not say. */
  readonly modRevision: number | undefined;
}

/** The text for one input. Throws UsageError: input comes from the caller. */
export function decode(input: Buffer, output: Output, key?: string): string {
  if (input.length === 0) throw new UsageError('standard input is empty; expected a value from etcd');
  const dump = dumpOf(input);
  if (dump === undefined) return print([{ key, value: withoutNewline(input), modRevision: undefined }], output, false);
  if (dump.length === 0) throw new UsageError('the dump has no keys');
  return print(dump, output, true);
}

/** etcdctl ends a printed value with a newline that is not part of it. */
function withoutNewline(input: Buffer): Buffer {
  const isProtobuf = encodingOf(input, 0, input.length) === 'protobuf';
  const ends = isProtobuf && input.length > 5 && input.subarray(-5).equals(Buffer.from([0x1a, 0x00, 0x22, 0x00, 0x0a]));
  return ends ? input.subarray(0, -1) : input;
}

/** The entries of `etcdctl get -w json`, or undefined if the input is something else. */
function dumpOf(input: Buffer): Stored[] | undefined {
  if (encodingOf(input, 0, input.length) !== 'json' || !input.includes('"header"')) return undefined;
  let parsed: unknown;
  try {
    parsed = parseJson(input.toString('utf8'));
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw new UsageError(`the input is not JSON: ${error.message}`);
    throw error;
  }
  if (!isObject(parsed) || !isObject(parsed['header']) || 'apiVersion' in parsed) return undefined;
  const kvs = parsed['kvs'] ?? [];
  if (!Array.isArray(kvs)) throw new UsageError('the dump has a "kvs" that is not a list');
  return kvs.map((entry: unknown, index): Stored => {
    const at = `kvs[${index}]`;
    if (!isObject(entry)) throw new UsageError(`${at}: expected an object`);
    const modRevision = Number(entry['mod_revision']);
    if (!Number.isSafeInteger(modRevision)) throw new UsageError(`${at}.mod_revision: expected an integer`);
    return {
      key: base64(entry['key'], `${at}.key`).toString('utf8'),
      value: base64(entry['value'] ?? '', `${at}.value`),
      modRevision,
    };
  });
}

function base64(value: unknown, path: string): Buffer {
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(value) || value.length % 4 !== 0) {
    throw new UsageError(`${path}: expected base64`);
  }
  return Buffer.from(value, 'base64');
}

function print(entries: readonly Stored[], output: Output, isDump: boolean): string {
  const decoded = entries.map((entry) => {
    try {
      return output === 'proto-text' ? protobufTextOf(entry) : jsonOf(entry);
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      throw new UsageError(entry.key === undefined ? error.message : `${entry.key}: ${error.message}`);
    }
  });
  if (output === 'proto-text') {
    if (!isDump) return `${decoded[0]!}\n`;
    return decoded
      .map((text, index) => `# ${entries[index]!.key} @${entries[index]!.modRevision}\n${text}\n`)
      .join('\n');
  }
  if (output === 'yaml') return decoded.map((text) => toYaml(parseJson(text))).join('---\n');
  if (!isDump) return `${decoded[0]!}\n`;
  return `{"kind":"List","apiVersion":"v1","metadata":{},"items":[${decoded.join(',')}]}\n`;
}

function jsonOf(entry: Stored): string {
  const { value } = entry;
  const wire = createWriter(value.length + 256);
  const kind = kindOf(entry);
  if (kind === undefined) {
    // A custom resource: served as it is stored, with the resourceVersion put in.
    if (entry.modRevision === undefined) return Buffer.from(value).toString('utf8').trim();
    spliceJson(value, 0, value.length, entry.modRevision, wire);
    return wire.bytes.toString('utf8', wire.start, wire.position);
  }
  const codec = createKindCodec(kind);
  codec.toWire(value, 0, value.length, entry.modRevision ?? NO_REVISION, wire);
  const json = createWriter((wire.position - wire.start) * 2);
  codec.toJson(wire.bytes, wire.start, wire.position, true, json);
  return json.bytes.toString('utf8', 0, json.position);
}

/** The kind of a value: what it says itself, else what its key says. Undefined: a custom resource. */
function kindOf({ key, value }: Stored): Kind | undefined {
  const encoding = encodingOf(value, 0, value.length);
  if (encoding === 'protobuf') {
    const { apiVersion, kind } = openEnvelope(value, 0, value.length);
    const found =
      kindByObject(apiVersion, kind) ?? storedAs(apiVersion, kind) ?? (key === undefined ? undefined : kindOfKey(key));
    if (found === undefined) throw new CodecError(`${apiVersion} ${kind} is not a kind that is served`);
    return found;
  }
  if (encoding !== 'json') throw unreadable(encoding, value, 0, value.length);
  const object = parsed(value);
  const apiVersion = String(object['apiVersion'] ?? '');
  const kind = String(object['kind'] ?? '');
  if (apiVersion === '' || kind === '') throw new CodecError('the value is JSON without apiVersion and kind');
  return kindByObject(apiVersion, kind) ?? storedAs(apiVersion, kind);
}

function parsed(value: Uint8Array): Record<string, unknown> {
  try {
    const object = parseJson(Buffer.from(value).toString('utf8'));
    if (isObject(object)) return object;
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw new CodecError(`invalid JSON: ${error.message}`, error.offset);
    throw error;
  }
  throw new CodecError('the value is JSON, but not an object');
}

/** A kind of the same group that is stored in another version than the ones served. */
function storedAs(apiVersion: string, name: string): Kind | undefined {
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  return kinds.find((kind) => kind.group === group && kind.kind === name);
}

/** `/registry/services/specs/default/web` without its prefix: the longest directory that fits. */
function kindOfKey(key: string): Kind | undefined {
  const segments = key.split('/').filter((segment) => segment !== '');
  for (let start = 0; start < segments.length; start++) {
    const found = kindByDirectory(segments.slice(start, start + 2).join('/')) ?? kindByDirectory(segments[start]!);
    if (found !== undefined) return found;
  }
  return undefined;
}

function protobufTextOf(entry: Stored): string {
  const { value } = entry;
  const kind = kindOf(entry);
  if (kind === undefined) throw new CodecError('a custom resource is stored as JSON and has no protobuf form');
  // What etcd really holds, if it is protobuf; what the server makes of it, if it is JSON.
  if (encodingOf(value, 0, value.length) === 'protobuf') {
    const { rawStart, rawEnd } = openEnvelope(value, 0, value.length);
    return protoText(kind.message, value.subarray(rawStart, rawEnd));
  }
  const wire = createWriter(value.length);
  createKindCodec(kind).toWire(value, 0, value.length, entry.modRevision ?? NO_REVISION, wire);
  return protoText(kind.message, wire.bytes.subarray(wire.start, wire.position));
}
