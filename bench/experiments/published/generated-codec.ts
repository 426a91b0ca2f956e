import { collectGarbage } from '../../../src/lib/v8-flags.js';
import { protobufType } from '../../../src/codec/proto-text.js';
import { messageType } from '../../../src/codec/schema.js';
import { createWriter } from '../../../src/codec/writer.js';
import type { PressureKind } from '../../../src/pressure/manifests.js';
import { ObjectStream } from '../../../src/pressure/object-stream.js';
import { cpuMicros } from '../cpu-time.js';
import type { Experiment, Medians, Sample } from '../experiment.js';
import { compileWriter, writeReflectively } from '../json-by-schema.js';
import { decodeReflectively } from '../reflective-protobuf.js';

const KINDS = { small: ['leases', 'pods'], full: ['leases', 'pods', 'nodes'] } as const satisfies Record<
  string,
  readonly PressureKind[]
>;
const FOR_MS = { small: 10, full: 500 } as const;
/** Calls whose allocation is summed up: they fit into the young generation, so that nothing is collected between. */
const COUNTED = 64;
const ALLOCATION_ROUNDS = 3;

const JSON_REFLECTIVE = 'JSON, reflective';
const JSON_GENERATED = 'JSON, generated';
const JSON_NATIVE = 'JSON.stringify';
const PROTOBUF_REFLECTIVE = 'protobuf, reflective';
const PROTOBUF_GENERATED = 'protobuf, generated';
const TRANSCODER = 'protobuf bytes to JSON bytes, generated';

interface Subject {
  readonly bytes: number;
  readonly lines: Readonly<Record<string, () => unknown>>;
}

function subjectOf(name: PressureKind, seed: number): Subject {
  const stream = new ObjectStream(name, undefined, seed);
  const { codec, kind } = stream;
  const { value } = stream.set(1, 1);
  const wire = createWriter();
  codec.toWire(value, 0, value.length, 1, wire);
  const { start, position: end } = wire;
  const message = wire.bytes.subarray(start, end);
  const json = createWriter();
  const transcode = () => {
    json.position = 0;
    codec.toJson(wire.bytes, start, end, false, json);
    return json.position;
  };
  transcode();
  const object = JSON.parse(json.bytes.toString('utf8', 0, json.position)) as Record<string, unknown>;
  const [described, type] = [messageType(kind.message), protobufType(kind.message)];
  const written = compileWriter(kind.message);
  if (written(object) !== writeReflectively(described, object)) throw new Error(`${name}: the writers do not agree`);
  return {
    bytes: message.length,
    lines: {
      [JSON_REFLECTIVE]: () => writeReflectively(described, object),
      [JSON_GENERATED]: () => written(object),
      [JSON_NATIVE]: () => JSON.stringify(object),
      [PROTOBUF_REFLECTIVE]: () => decodeReflectively(type, message),
      [PROTOBUF_GENERATED]: () => type.decode(message),
      [TRANSCODER]: transcode,
    },
  };
}

/** Bytes of heap that one call takes: the least of some rounds, since now and then the engine itself takes some. */
function allocatedBy(run: () => unknown): number {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ALLOCATION_ROUNDS; round++) {
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    for (let call = 0; call < COUNTED; call++) run();
    least = Math.min(least, process.memoryUsage().heapUsed - before);
  }
  return Math.max(0, least) / COUNTED;
}

function ratio(medians: Medians, figure: string, over: string, under: string, at: number): number {
  return medians.of(figure, over, at) / medians.of(figure, under, at);
}

export const experiment: Experiment = {
  title: 'A generated codec against a reflective one',
  claim:
    'JSON by reflection made many small objects and was a large part of what an apiserver did; a codec generated from the types was twice as fast, with far fewer allocations.',
  source: [
    {
      title: '1000 nodes and beyond: updates to Kubernetes performance and scalability in 1.2 (2016)',
      url: 'https://kubernetes.io/blog/2016/03/1000-nodes-and-beyond-updates-to-kubernetes-performance-and-scalability-in-12/',
    },
  ],
  method: [
    'A lease, a pod and a node, each held as an object and as its protobuf bytes. JSON is written from the object in three ways: by a walk over the schema that looks each member up (reflective); by a function for each type that is generated from the same schema, and holds the names as constants; and by JSON.stringify, which is V8 itself. All three give the same text.',
    "Protobuf is decoded into the same objects by a loop over protobufjs' description of the type, and by protobufjs' generated code. Beside them stands what listwatch does: its generated transcoder makes JSON bytes of protobuf bytes, which is both tasks at once, without an object.",
    'CPU is that of the process, after the code is compiled. Heap bytes are the growth of the used heap over 64 calls, in which nothing is collected. The bytes that a transcoder writes into a buffer that it uses again are in no heap.',
    "Left out: decoding JSON, where V8's own parser has no counterpart to compare with, and reflection as Go has it. JavaScript objects are looked up by name in any case, and its engine compiles a walk over a schema, too, so the reflective ways are less slow than Go's.",
  ],
  xLabel: 'bytes of the object',
  figures: {
    cpu: { label: 'CPU an object', unit: 'us' },
    allocated: { label: 'heap allocated an object', unit: 'B' },
  },
  plots: [
    {
      figure: 'cpu',
      title: 'Writing JSON',
      xScale: 'log',
      yScale: 'log',
      lines: [JSON_REFLECTIVE, JSON_GENERATED, JSON_NATIVE, TRANSCODER],
    },
    {
      figure: 'cpu',
      title: 'Reading protobuf',
      xScale: 'log',
      yScale: 'log',
      lines: [PROTOBUF_REFLECTIVE, PROTOBUF_GENERATED, TRANSCODER],
    },
  ],
  directions: [
    {
      says: 'the transcoder, which makes no object, allocates less than decoding into objects does',
      holds: (medians) =>
        medians
          .places('allocated', TRANSCODER)
          .every((at) => medians.of('allocated', TRANSCODER, at) < medians.of('allocated', PROTOBUF_GENERATED, at)),
    },
  ],
  async measure(size, run) {
    const samples: Sample[] = [];
    for (const name of KINDS[size]) {
      // The same seed in all runs: the object's size is the place on the axis.
      const { bytes, lines } = subjectOf(name, 1);
      const entries = Object.entries(lines);
      if (run % 2 === 1) entries.reverse();
      for (const [line, call] of entries) {
        const cpu = cpuMicros(FOR_MS[size], () => {
          for (let turn = 0; turn < 16; turn++) call();
        });
        samples.push({ figure: 'cpu', line, at: bytes, value: cpu / 16 });
        samples.push({ figure: 'allocated', line, at: bytes, value: allocatedBy(call) });
      }
    }
    return samples;
  },
  verdict(medians) {
    const places = medians.places('cpu', TRANSCODER);
    const all = (figure: string, over: string, under: string) =>
      places.map((at) => ratio(medians, figure, over, under, at));
    const json = all('cpu', JSON_REFLECTIVE, JSON_GENERATED);
    const protobuf = all('cpu', PROTOBUF_REFLECTIVE, PROTOBUF_GENERATED);
    const sizes = `${places.slice(0, -1).join(', ')} and ${places.at(-1)} bytes`;
    const list = (ratios: readonly number[]) =>
      `${ratios
        .slice(0, -1)
        .map((one) => one.toFixed(1))
        .join(', ')} and ${ratios.at(-1)!.toFixed(1)} times`;
    const twice = [json, protobuf].filter((ratios) => Math.min(...ratios) >= 1.5).length;
    const some = Math.max(...json, ...protobuf) >= 1.5;
    const both = places.map(
      (at) =>
        (medians.of('cpu', PROTOBUF_GENERATED, at) + medians.of('cpu', JSON_NATIVE, at)) /
        medians.of('cpu', TRANSCODER, at),
    );
    return {
      reproduces: twice === 2 ? 'yes' : some ? 'in part' : 'no',
      text: [
        `JSON of objects of ${sizes}: the reflective writer took ${list(json)} the CPU of the generated one and ${list(all('allocated', JSON_REFLECTIVE, JSON_GENERATED))} the heap. V8's own JSON.stringify took ${list(all('cpu', JSON_NATIVE, JSON_GENERATED))} the CPU of the generated writer.`,
        `Protobuf: decoding by reflection took ${list(protobuf)} the CPU of protobufjs' generated code and ${list(all('allocated', PROTOBUF_REFLECTIVE, PROTOBUF_GENERATED))} the heap.`,
        `Decoding by generated code and JSON.stringify together took ${list(both)} the CPU of the transcoder, which allocated ${places.map((at) => Math.round(medians.of('allocated', TRANSCODER, at))).join(', ')} bytes of heap an object.`,
      ],
    };
  },
};
