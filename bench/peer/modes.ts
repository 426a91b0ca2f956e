import { defaultLimits } from '../../src/lib/limits.js';
import type { Measure, Subject, Target } from './measures.js';

/** How large the modes are: whole, or so small that all of them take seconds each. */
export interface Scale {
  readonly small: boolean;
  /** Command line of the loader, with endpoint and pods. */
  readonly load: string;
  /** Stored bytes of everything, for targets that are a multiple of them. */
  readonly storedBytes: number;
  /** How long the modes that write do so. */
  readonly writeSeconds: number;
}

/** One mode of the load bench (test/peer/bench), with the targets that its figures have. */
export interface Mode {
  readonly name: string;
  readonly title: string;
  /** `http` and `https` measure the servers that run; `start` starts one of its own. */
  readonly over: 'http' | 'https' | 'start';
  /** Arguments of the load bench. */
  readonly args: readonly string[];
  /** Measured beside the peer and listwatch. */
  readonly baseline?: Exclude<Subject, 'peer' | 'listwatch'>;
  /** The figures of the peer for it are those of another mode. */
  readonly withoutPeer?: true;
  /** listwatch goes on from the checkpoints of a process that ended just before; the peer has nothing of the kind. */
  readonly warm?: true;
  /** Flags of listwatch, which runs apart for this mode. */
  readonly flags?: readonly string[];
  readonly measures: readonly Measure[];
}

const MIB = 2 ** 20;
/** What of the memory target does not follow from the objects: 90 MiB and the fragment cache's default bound. */
const REST_MIB = 90 + defaultLimits.fragmentCacheBytes / MIB;
const STORED_MAX = 1.4;

const report: Target = { kind: 'report' };
const ofPeer = (limit: number): Target => ({ kind: 'ratio', against: 'peer', limit });
const lower = (column: string, target: Target = report): Measure => ({ column, better: 'lower', target });
const higher = (column: string, target: Target = report): Measure => ({ column, better: 'higher', target });

/** CPU of all three processes, latency, throughput: what every mode of LISTs shows. */
function listMeasures(cpu: number | undefined, wall: number | undefined, ...more: Measure[]): Measure[] {
  return [
    lower('server CPU ms/list', cpu === undefined ? report : ofPeer(cpu)),
    lower('p50 ms', wall === undefined ? report : ofPeer(wall)),
    lower('p99 ms'),
    ...more,
    lower('client CPU ms/list'),
    lower('etcd CPU ms/list'),
  ];
}

/** Every mode, in the order of the table of targets. */
export function modes(scale: Scale): Mode[] {
  const { small } = scale;
  const watchers = (whole: number) => String(small ? Math.max(1, Math.round(whole / 100)) : whole);
  const rate = (whole: number) => String(small ? Math.min(whole, 100) : whole);
  const written = ['-load', scale.load, '-duration', `${scale.writeSeconds}s`];
  // Everything that runs in a server that is up is measured as it is after some seconds, compiled: both servers alike.
  const warmed = ['-warm-up', small ? '100ms' : '3s'];
  // As long for each server, not as often: the LISTs of the slower one take most of a run.
  const timed = ['-min-time', small ? '100ms' : '1s', '-min-lists', '1', ...warmed];
  const roomy = ['--fragment-cache-bytes', String(2 ** 30)];
  const connections = small ? '4' : '32';
  const list = (scope: string, accept: string, gzip = 'off', rv = '0') => [
    ...['-mode', 'list', '-scope', scope, '-accept', accept, '-gzip', gzip, '-rv', rv, '-c', '1', ...timed],
  ];
  const found: Mode[] = [];
  const add = (name: string, title: string, over: Mode['over'], args: string[], measures: Measure[]) =>
    found.push({ name, title, over, args, measures });

  add(
    'list/protobuf',
    'LIST all pods, protobuf',
    'http',
    list('all', 'protobuf'),
    listMeasures(1 / 30, 1 / 15, higher('MB/s')),
  );
  add(
    'list/json',
    'LIST all pods, JSON, warm, fragment cache of the default size',
    'http',
    list('all', 'json'),
    listMeasures(undefined, undefined),
  );
  found.push({
    name: 'list/json-roomy',
    title: 'LIST all pods, JSON, warm, fragment cache of 1 GiB',
    over: 'http',
    args: list('all', 'json'),
    flags: roomy,
    measures: listMeasures(1 / 40, undefined),
  });
  add(
    'list/json-cold',
    'LIST all pods, JSON, the first after the start',
    'start',
    ['-accept', 'json'],
    [lower('first LIST CPU ms', ofPeer(1 / 3)), lower('first LIST ms', ofPeer(1 / 3))],
  );
  add(
    'list/protobuf-gzip',
    'LIST all pods, protobuf, gzip',
    'http',
    list('all', 'protobuf', 'on'),
    listMeasures(1 / 60, undefined),
  );
  add(
    'list/json-gzip',
    'LIST all pods, JSON, gzip',
    'http',
    list('all', 'json', 'on'),
    listMeasures(1 / 60, undefined),
  );
  for (const writes of [20, 1000]) {
    for (const [accept, gzip, limit] of [
      ['protobuf', 'off', 1 / 15],
      ['json', 'off', 1 / 8],
      ['protobuf', 'on', 1],
      ['json', 'on', 1],
    ] as const) {
      const format = `${accept}${gzip === 'on' ? '-gzip' : ''}`;
      const args = [
        '-mode',
        'listchurn',
        '-scope',
        'all',
        '-accept',
        accept,
        '-gzip',
        gzip,
        '-rate',
        rate(writes),
        ...written,
        ...warmed,
      ];
      const title = `LIST all pods, ${accept}${gzip === 'on' ? ', gzip' : ''}, under ${rate(writes)} writes/s`;
      const measures = listMeasures(limit, undefined, higher('writes/s'));
      add(`churn-${writes}/${format}`, title, 'http', args, measures);
      if (format !== 'json') continue;
      const name = `churn-${writes}/json-roomy`;
      found.push({ name, title: `${title}, fragment cache of 1 GiB`, over: 'http', args, flags: roomy, measures });
    }
  }
  for (const accept of ['protobuf', 'json']) {
    for (const streams of [1, 10]) {
      add(
        `watchlist/${accept}-${streams}`,
        `WatchList of all pods, ${accept}${streams > 1 ? ', ten at once' : ''}`,
        'http',
        [
          ...['-mode', 'watchlist', '-accept', accept, '-watchers', String(streams), '-min-lists', '1'],
          ...['-min-time', small || streams > 1 ? '0s' : '1s', ...(streams > 1 ? [] : warmed)],
        ],
        streams > 1
          ? [
              lower('grown MiB', { kind: 'absolute', limit: (0.1 * scale.storedBytes) / MIB }),
              lower('end p99 ms'),
              lower('server CPU ms/stream'),
            ]
          : [
              lower('server CPU ms/stream', ofPeer(1 / 15)),
              lower('end p50 ms', ofPeer(1 / 5)),
              lower('client CPU ms/stream'),
              lower('etcd CPU ms/stream'),
            ],
      );
    }
  }
  add(
    'table',
    "kubectl's Table of all pods in pages of 500, gzip",
    'http',
    list('page500', 'table', 'on', 'unset'),
    listMeasures(1 / 5, undefined),
  );
  add(
    'pages',
    'LIST all pods in pages of 500, protobuf',
    'http',
    list('page500', 'protobuf', 'off', 'unset'),
    listMeasures(1 / 20, undefined),
  );
  found.push({
    name: 'throughput/http',
    title: 'LIST all pods, protobuf, against a raw socket write of the same bytes',
    over: 'http',
    args: list('all', 'protobuf'),
    baseline: 'raw-socket',
    withoutPeer: true,
    measures: [higher('MB/s', { kind: 'ratio', against: 'raw-socket', limit: 0.9 }), lower('server CPU ms/list')],
  });
  found.push({
    name: 'throughput/https',
    title: 'LIST all pods, protobuf, HTTP/1.1 over TLS, against node:https with the same bytes',
    over: 'https',
    args: [...list('all', 'protobuf'), '-http1'],
    baseline: 'node-https',
    withoutPeer: true,
    measures: [higher('MB/s', { kind: 'ratio', against: 'node-https', limit: 0.9 }), lower('server CPU ms/list')],
  });
  for (const [scope, title, limit] of [
    ['namespace', 'LIST one namespace of fifty, protobuf', 1 / 15],
    ['label', 'LIST app=, one pod in a hundred, protobuf', 1 / 40],
    ['node', 'LIST spec.nodeName=, 30 pods, protobuf', 1 / 3],
  ] as const) {
    add(`select/${scope}`, title, 'http', list(scope, 'protobuf'), listMeasures(limit, undefined));
  }
  for (const over of ['http', 'https'] as const) {
    for (const rv of ['0', 'unset']) {
      add(
        `get/${over === 'http' ? 'http1' : 'http2'}-rv-${rv}`,
        `GET one pod, ${rv === '0' ? 'resourceVersion=0' : 'no resourceVersion'}, ${connections} connections, ${over === 'http' ? 'HTTP/1.1' : 'HTTP/2 over TLS'}`,
        over,
        [
          ...['-mode', 'get', '-accept', 'protobuf', '-rv', rv, '-c', connections],
          ...['-min-time', small ? '200ms' : '2s', ...warmed],
        ],
        [
          lower('server CPU us/get', ofPeer(1)),
          lower('p50 us', ofPeer(1)),
          lower('p99 us', ofPeer(1)),
          higher('gets/s'),
          lower('client CPU us/get'),
          lower('etcd CPU us/get'),
        ],
      );
    }
  }
  const watch = (count: string, accept: string, writes: string) => [
    ...['-mode', 'watch', '-accept', accept, '-watchers', `${count}:${writes}`, ...written],
  ];
  for (const [count, accept, limit] of [
    ['0', 'protobuf', 1 / 25],
    ['1', 'protobuf', 1 / 15],
    ['1', 'json', 1 / 10],
  ] as const) {
    const who = count === '0' ? 'no watcher' : `one ${accept} watcher`;
    found.push({
      name: `ingest/${count === '0' ? 'none' : accept}`,
      title: `${rate(1000)} writes/s, ${who}`,
      over: 'http',
      args: [...watch(count, accept, rate(1000)), ...warmed],
      ...(count === '0' ? { baseline: 'bare-watch' as const } : {}),
      measures: [
        lower('server CPU us/write', ofPeer(limit)),
        ...(count === '0' ? [] : [lower('lag p50 ms'), lower('lag p99 ms')]),
        lower('client CPU s'),
        lower('etcd CPU s'),
      ],
    });
  }
  // A wake-up for each write, which is what is to be seen beside the least that Node can do.
  found.push({
    name: 'ingest/none-slowly',
    title: `${rate(100)} writes/s, no watcher`,
    over: 'http',
    args: [...watch('0', 'protobuf', rate(100)), ...warmed],
    baseline: 'bare-watch',
    measures: [lower('server CPU us/write')],
  });
  const fanOut = (cpu: number, ...more: Measure[]) => [
    lower('server CPU us/event', ofPeer(cpu)),
    ...more,
    lower('lag p50 ms'),
    lower('lag p99 ms'),
    lower('missed'),
    lower('client CPU s'),
  ];
  add(
    'watch/http1',
    `${watchers(1000)} watchers, 20 writes/s, JSON, HTTP/1.1`,
    'http',
    watch(watchers(1000), 'json', '20'),
    fanOut(1 / 2),
  );
  add(
    'watch/http2',
    `${watchers(1000)} watchers, 20 writes/s, JSON, HTTP/2 over TLS`,
    'https',
    watch(watchers(1000), 'json', '20'),
    fanOut(1 / 5),
  );
  add(
    'watch/flood',
    `${watchers(1000)} watchers, ${rate(200)} writes/s, JSON`,
    'http',
    watch(watchers(1000), 'json', rate(200)),
    fanOut(1 / 5, higher('events/s', ofPeer(2))),
  );
  add(
    'watch/one',
    `one watcher, as many writes/s as etcd takes${small ? '' : ', at most 4,000'}`,
    'http',
    watch('1', 'protobuf', rate(4000)),
    [
      lower('ended watches', { kind: 'absolute', limit: 0 }),
      lower('missed', { kind: 'absolute', limit: 0 }),
      higher('writes/s'),
      lower('server CPU us/event'),
    ],
  );
  for (const selector of ['node', 'label']) {
    for (const count of [500, 5000]) {
      add(
        `selectors/${selector}-${count}`,
        `${watchers(count)} watchers, each with its own ${selector === 'node' ? 'spec.nodeName' : 'label selector'}`,
        'https',
        [
          '-mode',
          'selectors',
          '-selector',
          selector,
          '-watchers',
          `${watchers(count)}:${rate(200)}`,
          ...written,
          ...warmed,
        ],
        [lower('server CPU us/change', ofPeer(1 / 10)), lower('events/change'), lower('ended watches')],
      );
    }
  }
  add(
    'idle',
    `${watchers(10_000)} idle watchers over HTTP/2 and TLS, 100 to a connection`,
    'https',
    [...['-mode', 'idle', '-watchers', watchers(10_000), '-duration', small ? '500ms' : '3s']],
    [
      lower('KB/watcher', { kind: 'absolute', limit: 15 }),
      higher('held', { kind: 'absolute', limit: Number(watchers(10_000)) }),
      lower('held server CPU ms/s'),
    ],
  );
  const memoryLimit: Target = { kind: 'absolute', limit: (STORED_MAX * scale.storedBytes) / MIB + REST_MIB };
  add(
    'memory',
    'resident memory, MiB',
    'start',
    ['-accept', 'protobuf', '-formats'],
    [
      lower('RSS MiB', memoryLimit),
      lower('RSS MiB after LISTs', memoryLimit),
      lower('peak RSS MiB in LISTs', memoryLimit),
    ],
  );
  found.push({
    name: 'start',
    title: 'start to the first whole LIST read',
    over: 'start',
    args: ['-accept', 'protobuf'],
    baseline: 'paged-read',
    measures: [
      lower('first full LIST done ms', { kind: 'ratio', against: 'paged-read', column: 'paged read ms', limit: 1.5 }),
      lower('ready ms'),
      lower('CPU s until ready'),
    ],
  });
  found.push({
    name: 'start/warm',
    title: 'restart from checkpoints to the first whole LIST read',
    over: 'start',
    args: ['-accept', 'protobuf'],
    warm: true,
    withoutPeer: true,
    measures: [
      lower('first full LIST done ms', { kind: 'absolute', limit: 1_000 }),
      lower('ready ms'),
      lower('CPU s until ready'),
    ],
  });
  return small ? found.map(unjudged) : found;
}

/** Targets hold for whole modes. */
function unjudged(mode: Mode): Mode {
  return { ...mode, measures: mode.measures.map((measure) => ({ ...measure, target: report })) };
}

/**
 * Of runs counted from 0, those that measure the peer: all where a target is judged by its figures, and every third where they
 * are only shown, none where another mode has them.
 */
export function isPeerMeasured({ withoutPeer, measures }: Mode, run: number): boolean {
  if (withoutPeer) return false;
  return run % 3 === 0 || measures.some(({ target }) => target.kind === 'ratio' && target.against === 'peer');
}
