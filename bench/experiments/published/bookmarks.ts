import { seededRandom } from '../../../src/lib/random.js';
import { labelFilter, PodCache, podVariants, relabelled } from '../../indexed-pods.js';
import { watchersOf } from '../../watched-pods.js';
import type { Experiment, Sample } from '../experiment.js';
import { type Ending, ReconnectingWatcher } from '../reconnecting-watcher.js';

const PODS = 10_000;
const CHANGES_PER_SECOND = 50;
/** Changes that a watcher selects, of a hundred thousand: its pods are so many of ten thousand. */
const SELECTED = [1_000, 100, 10, 1] as const;
const SIZES = {
  small: { minutes: 11, watchers: 3, selected: [100, 1] },
  full: { minutes: 40, watchers: 60, selected: SELECTED },
} as const;
const LINES = [
  ['without bookmarks', false, 'break'],
  ['bookmarks, connection breaks', true, 'break'],
  ['bookmarks, ended at its deadline', true, 'deadline'],
] as const satisfies readonly (readonly [string, boolean, Ending])[];
const [WITHOUT, BROKEN, ENDED] = LINES.map(([line]) => line) as [string, string, string];

/** The pods from `from` on belong to these watchers; they lie one after the other. */
function groupsOf(
  selected: readonly number[],
): { readonly label: string; readonly from: number; readonly pods: number }[] {
  let from = 0;
  return selected.map((pods) => {
    const group = { label: `of-${pods}`, from, pods };
    from += pods;
    return group;
  });
}

export const experiment: Experiment = {
  title: 'Bookmarks: what a watcher that comes back has to be shown again',
  claim:
    'A watcher that selects few of a busy kind\'s objects knows an old revision when its connection ends. When it comes back, the server reads all changes since then again, or has forgotten them and the watcher must list ("too old resource version"). Bookmarks tell it newer revisions; at Alibaba what was processed again on reconnecting fell to about 3%.',
  source: [
    { title: 'KEP-956: Watch Bookmark', url: 'https://www.kubernetes.dev/resources/keps/956/' },
    {
      title: 'How does Alibaba ensure the performance of system components in a 10,000-node Kubernetes cluster?',
      url: 'https://www.alibabacloud.com/blog/how-does-alibaba-ensure-the-performance-of-system-components-in-a-10000-node-kubernetes-cluster_595469',
    },
  ],
  method: [
    `A cache of ${PODS} pods with its history (75 s of changes), its label index, its watchers and its timing wheel runs on a clock that is moved by hand, so that forty minutes pass in seconds and every count is the same each time a seed is used. ${CHANGES_PER_SECOND} pods a second change, each equally often; every change has its own revision.`,
    'Watchers select pods by label. One in ten of all changes is theirs, one in a hundred, one in a thousand, or one in ten thousand, which is a kubelet with its pods in a cluster of ten thousand nodes. A stream lasts five to ten minutes (as client-go asks for), and the client is back 0.8 s after its end with the last revision it was told. A stream either breaks at no special moment, with and without bookmarks (one a minute), or is ended by the server at its deadline, two seconds after a last bookmark.',
    'Counted, for each time that a watcher comes back: the changes of the kind after its revision, which a server that keeps everything would read again, and how often the revision was older than the history. Who must list counts with the changes it missed; what the list costs is left out. Nothing goes over a network.',
  ],
  xLabel: 'changes that the watcher selects, %',
  figures: {
    replayed: { label: 'changes to replay for each reconnect', unit: 'events' },
    tooOld: { label: 'reconnects that are too old and list', unit: '%' },
    reconnects: { label: 'counted', unit: 'reconnects' },
  },
  plots: [
    { figure: 'replayed', title: 'Changes to replay for each reconnect', xScale: 'log', yScale: 'log' },
    { figure: 'tooOld', title: 'Reconnects that are too old and list', xScale: 'log', yScale: 'linear' },
  ],
  directions: [
    {
      says: 'fewer changes are to be replayed with bookmarks, for the most selective watcher',
      holds(medians) {
        const at = medians.places('replayed', WITHOUT)[0]!;
        const without = medians.of('replayed', WITHOUT, at);
        return medians.of('replayed', BROKEN, at) < without && medians.of('replayed', ENDED, at) < without;
      },
    },
    {
      says: 'a watcher that was ended at its deadline, with bookmarks, is never too old',
      holds: (medians) => medians.places('tooOld', ENDED).every((at) => medians.of('tooOld', ENDED, at) === 0),
    },
  ],
  async measure(size, run) {
    const { minutes, watchers: count, selected } = SIZES[size];
    const random = seededRandom(run + 1);
    const pods = new PodCache(PODS, { historyBytes: undefined }).index('l');
    const watchers = watchersOf(pods, run + 1);
    const groups = groupsOf(selected);
    const clients = groups.flatMap(({ label, pods: at }) =>
      LINES.map(([line, bookmarks, ending]) => ({
        line,
        at,
        all: Array.from({ length: count }, () => {
          const options = { bookmarks, ending, random };
          return new ReconnectingWatcher(pods, watchers, labelFilter(`watched=${label}`), options);
        }),
      })),
    );
    const values = groups.map(({ label }) => relabelled(podVariants()[0]!, { watched: label }));
    const others = relabelled(podVariants()[0]!, { watched: 'nobody' });
    for (let change = 0; change < minutes * 60 * CHANGES_PER_SECOND; change++) {
      const index = random.int(PODS);
      const group = groups.findIndex(({ from, pods: of }) => index >= from && index < from + of);
      watchers.changed(pods.update(index, group === -1 ? others : values[group]!));
      pods.clock.advance(1_000 / CHANGES_PER_SECOND);
    }
    const samples = clients.flatMap(({ line, at, all }): Sample[] => {
      const sum = (of: 'count' | 'replayed' | 'tooOld') => all.reduce((so, { reconnects }) => so + reconnects[of], 0);
      const percent = (at / PODS) * 100;
      return [
        { figure: 'replayed', line, at: percent, value: sum('replayed') / sum('count') },
        { figure: 'tooOld', line, at: percent, value: (100 * sum('tooOld')) / sum('count') },
        { figure: 'reconnects', line, at: percent, value: sum('count') },
      ];
    });
    for (const { all } of clients) for (const client of all) client.stop();
    watchers.stop();
    pods.close();
    return samples;
  },
  verdict(medians) {
    const at = medians.places('replayed', WITHOUT)[0]!;
    const without = medians.of('replayed', WITHOUT, at);
    const share = (line: string) => (100 * medians.of('replayed', line, at)) / without;
    const [broken, ended] = [share(BROKEN), share(ENDED)];
    return {
      reproduces: broken <= 5 && ended <= 5 ? 'yes' : Math.min(broken, ended) <= 5 || broken <= 50 ? 'in part' : 'no',
      text: [
        `A watcher that selects ${at}% of the changes came back ${without.toFixed(0)} changes late without bookmarks. With them it was ${ended.toFixed(1)}% of that when the server had ended the stream at its deadline, and ${broken.toFixed(1)}% when the connection broke.`,
        `Without bookmarks ${medians.of('tooOld', WITHOUT, at).toFixed(0)}% of these reconnects found their revision forgotten and had to list; with them ${medians.of('tooOld', BROKEN, at).toFixed(0)}% (broken) and ${medians.of('tooOld', ENDED, at).toFixed(0)}% (ended).`,
        'What is left follows from the time between bookmarks, a minute: a connection that breaks has had its last one half a minute ago on average. A watcher that is told of a change more often than that has little use for bookmarks.',
      ],
    };
  },
};
