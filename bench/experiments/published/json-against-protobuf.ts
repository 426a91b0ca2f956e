import { get } from 'node:http';
import { protobufType } from '../../../src/codec/proto-text.js';
import { createWriter } from '../../../src/codec/writer.js';
import { countAllocations } from '../../../src/pressure/collector.js';
import type { PressureKind } from '../../../src/pressure/manifests.js';
import { ObjectStream } from '../../../src/pressure/object-stream.js';
import { cpuMicros } from '../cpu-time.js';
import type { Experiment, Medians, Sample, Size } from '../experiment.js';
import { ServedObjects } from '../served-objects.js';

const JSON_LINE = 'JSON';
const PROTOBUF = 'protobuf';
const TRANSCODED = 'JSON, from stored bytes';
const KINDS = ['leases', 'pods', 'nodes'] as const satisfies readonly PressureKind[];
const PATHS = {
  leases: '/apis/coordination.k8s.io/v1/leases',
  pods: '/api/v1/pods',
  nodes: '/api/v1/nodes',
} as const;
const ACCEPT = { [JSON_LINE]: 'application/json', [PROTOBUF]: 'application/vnd.kubernetes.protobuf' } as const;
type Format = keyof typeof ACCEPT;
const SIZES = {
  small: { objects: { leases: 200, pods: 100, nodes: 40 }, lists: 2, forMs: 5, warmRounds: 1 },
  full: { objects: { leases: 40_000, pods: 5_000, nodes: 1_500 }, lists: 5, forMs: 200, warmRounds: 150 },
} as const;
/** Objects that an operation goes through, so that it is not always the same bytes. */
const VARIANTS = 64;

interface Forms {
  /** Bytes of the bare message, on average: the place on the axis. */
  readonly at: number;
  readonly encoded: Readonly<Record<Format, readonly Buffer[]>>;
  decode: Readonly<Record<Format, (bytes: Buffer) => unknown>>;
  encode: Readonly<Record<Format, (object: never) => number>>;
  /** Writes the JSON of each from its bytes, and says how much it was. */
  transcode(index: number): number;
}

function formsOf(name: PressureKind): Forms {
  const stream = new ObjectStream(name, undefined, 1);
  const { codec, kind } = stream;
  const type = protobufType(kind.message);
  const wire = createWriter(2 ** 20);
  const text = createWriter(2 ** 20);
  const encoded = { [JSON_LINE]: [] as Buffer[], [PROTOBUF]: [] as Buffer[] };
  for (let index = 0; index < VARIANTS; index++) {
    const { value } = stream.set(index, 0);
    wire.position = text.position = 0;
    codec.toWire(value, 0, value.length, 1_000_000 + index, wire);
    codec.toJson(wire.bytes, wire.start, wire.position, true, text);
    encoded[PROTOBUF].push(Buffer.from(wire.bytes.subarray(wire.start, wire.position)));
    encoded[JSON_LINE].push(Buffer.from(text.bytes.subarray(0, text.position)));
  }
  return {
    at: Math.round(bytesOf(encoded[PROTOBUF])),
    encoded,
    decode: {
      [JSON_LINE]: (bytes) => JSON.parse(bytes.toString('utf8')),
      [PROTOBUF]: (bytes) => type.decode(bytes),
    },
    encode: {
      [JSON_LINE]: (object) => Buffer.from(JSON.stringify(object)).length,
      [PROTOBUF]: (object) => type.encode(object).finish().length,
    },
    transcode(index) {
      const bytes = encoded[PROTOBUF][index]!;
      text.position = 0;
      codec.toJson(bytes, 0, bytes.length, true, text);
      return text.position;
    },
  };
}

function bytesOf(buffers: readonly Buffer[]): number {
  return buffers.reduce((sum, { length }) => sum + length, 0) / buffers.length;
}

async function codecs(run: number, { forMs, warmRounds }: (typeof SIZES)[Size]): Promise<Sample[]> {
  const samples: Sample[] = [];
  const formats: Format[] = [JSON_LINE, PROTOBUF];
  if (run % 2 === 1) formats.reverse();
  const operations: { figure: 'decode' | 'encode'; line: string; at: number; run: () => void }[] = [];
  for (const name of KINDS) {
    const { at, encoded, decode, encode, transcode } = formsOf(name);
    const each = (what: (index: number) => unknown) => () => {
      for (let index = 0; index < VARIANTS; index++) what(index);
    };
    for (const line of formats) {
      const buffers = encoded[line];
      const objects = buffers.map(decode[line]) as never[];
      samples.push({ figure: 'size', line, at, value: bytesOf(buffers) });
      operations.push(
        { figure: 'decode', line, at, run: each((index) => decode[line](buffers[index]!)) },
        { figure: 'encode', line, at, run: each((index) => encode[line](objects[index]!)) },
      );
    }
    operations.push({ figure: 'encode', line: TRANSCODED, at, run: each(transcode) });
  }
  // V8 has compiled the large functions of pods only after thousands of calls.
  for (const operation of operations) for (let round = 0; round < warmRounds; round++) operation.run();
  for (const { figure, line, at, run: all } of operations) {
    samples.push({ figure, line, at, value: cpuMicros(forMs, all) / VARIANTS });
  }
  // Last, for the profiler changes how V8 allocates.
  for (const { figure, line, at, run: all } of operations) {
    const made = await countAllocations(async () => all());
    if (figure === 'decode') samples.push({ figure: 'decodeObjects', line, at, value: made.objects / VARIANTS });
    else samples.push({ figure: 'encodeBytes', line, at, value: made.bytes / VARIANTS });
  }
  return samples;
}

/** Reads an answer to its end, and says how long it was. */
function listed(port: number, path: string, accept: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { accept, 'accept-encoding': 'identity' };
    get({ port, host: '127.0.0.1', path, headers, agent: false }, (response) => {
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(bytes);
        else reject(new Error(`LIST ${path}: ${response.statusCode}`));
      });
    }).on('error', reject);
  });
}

async function lists(size: Size, run: number): Promise<Sample[]> {
  const { objects, lists: count } = SIZES[size];
  // Nothing that was encoded is kept: each LIST is made from the objects.
  await using server = await ServedObjects.start({ objects, limits: { fragmentCacheBytes: 0 } });
  const samples: Sample[] = [];
  const formats: Format[] = [JSON_LINE, PROTOBUF];
  if (run % 2 === 1) formats.reverse();
  for (const name of KINDS) {
    const { at } = formsOf(name);
    for (const line of formats) {
      const list = () => listed(server.port, `${PATHS[name]}?resourceVersion=0`, ACCEPT[line]);
      await list();
      await list();
      const before = await server.state();
      let bytes = 0;
      for (let turn = 0; turn < count; turn++) bytes += await list();
      const { cpuMs } = await server.state();
      const perObject = count * objects[name];
      samples.push({ figure: 'list', line, at, value: ((cpuMs - before.cpuMs) * 1_000) / perObject });
      samples.push({ figure: 'listSize', line, at, value: bytes / perObject });
    }
  }
  return samples;
}

const { objects } = SIZES.full;

/** By how much JSON has more of a figure than protobuf, for each kind, the smallest object first. */
function times(medians: Medians, figure: string): number[] {
  return medians
    .places(figure, PROTOBUF)
    .map((at) => medians.of(figure, JSON_LINE, at) / medians.of(figure, PROTOBUF, at));
}

export const experiment: Experiment = {
  title: 'JSON against protobuf',
  claim:
    'Protobuf on the wire (1.3) and in etcd (1.6) instead of JSON gave Kubernetes "a huge performance improvement": objects are smaller, encoding and decoding take less CPU, and fewer allocations have a large effect on the latency of the API.',
  source: [
    {
      title: 'Scalability updates in Kubernetes 1.6',
      url: 'https://kubernetes.io/blog/2017/03/scalability-updates-in-kubernetes-1-6/',
    },
    {
      title: '1000 nodes and beyond: updates to Kubernetes performance and scalability in 1.2',
      url: 'https://kubernetes.io/blog/2016/03/1000-nodes-and-beyond-updates-to-kubernetes-performance-and-scalability-in-12/',
    },
  ],
  method: [
    'Three kinds stand for small, middle and large objects: a Lease, a pod and a node as kubelets write them; their places on the axis are the bytes of their protobuf. Decoding is from bytes to objects and back: JSON by JSON.parse and JSON.stringify, which V8 has in C++, protobuf by protobufjs, which generates JavaScript. Go, of which the claim speaks, has neither. All kinds go through one process, as in a server, after thousands of calls that are not counted.',
    'The third line is how listwatch encodes JSON: from the stored protobuf, without an object. It has no decoding, and for protobuf no encoding either: stored bytes are sent as they lie.',
    `Allocations are counted with V8's sampling profiler at an interval of one byte: objects on the JavaScript heap that decoding one object makes, and bytes on that heap that encoding one makes. Memory outside the heap, such as that of Buffers, is not in it.`,
    `LIST: a listwatch in a process of its own with ${objects.leases} leases, ${objects.pods} pods and ${objects.nodes} nodes answers whole LISTs over HTTP, not compressed, with the cache of encoded items switched off. CPU is the server's.`,
  ],
  xLabel: 'bytes of the object in protobuf',
  figures: {
    size: { label: 'size', unit: 'bytes' },
    decode: { label: 'CPU to decode', unit: 'us' },
    encode: { label: 'CPU to encode', unit: 'us' },
    decodeObjects: { label: 'objects made to decode', unit: 'objects' },
    encodeBytes: { label: 'heap bytes made to encode', unit: 'bytes' },
    list: { label: 'CPU of a LIST for each object', unit: 'us' },
    listSize: { label: 'bytes of a LIST for each object', unit: 'bytes' },
  },
  plots: [
    { figure: 'size', title: 'Size', xScale: 'log', yScale: 'log' },
    { figure: 'decode', title: 'Decoding', xScale: 'log', yScale: 'log' },
    { figure: 'encode', title: 'Encoding', xScale: 'log', yScale: 'log' },
    { figure: 'list', title: 'LIST over HTTP', xScale: 'log', yScale: 'log' },
  ],
  directions: [
    {
      says: 'protobuf is smaller, for every kind',
      holds: (medians) => times(medians, 'size').every((more) => more > 1),
    },
    {
      says: 'a LIST in protobuf is smaller, for every kind',
      holds: (medians) => times(medians, 'listSize').every((more) => more > 1),
    },
  ],
  async measure(size, run) {
    return [...(await codecs(run, SIZES[size])), ...(await lists(size, run))];
  },
  verdict(medians) {
    const say = (figure: string) =>
      times(medians, figure)
        .map((more) => more.toFixed(1))
        .join(', ');
    const more = (figure: string) => times(medians, figure).every((one) => one > 1.2);
    const holds = ['size', 'decode', 'encode', 'decodeObjects', 'list'].filter(more);
    return {
      reproduces: holds.length === 5 ? 'yes' : holds.length > 0 ? 'in part' : 'no',
      text: [
        `For a lease, a pod and a node JSON is ${say('size')} times as large. To decode it took ${say('decode')} times the CPU of protobufjs and ${say('decodeObjects')} times the objects, to encode it ${say('encode')} times the CPU; below one means that JSON was the cheaper.`,
        `A LIST over HTTP took ${say('list')} times the CPU of the server as JSON, for ${say('listSize')} times the bytes.`,
        `Encoded from stored bytes, without objects, the JSON took ${medians
          .places('encode', TRANSCODED)
          .map((at) => (medians.of('encode', TRANSCODED, at) / medians.of('encode', JSON_LINE, at)).toFixed(2))
          .join(', ')} of what JSON.stringify takes.`,
      ],
    };
  },
};
