import { median } from '../peer/measures.js';

/** One figure that a run found. */
export interface Sample {
  /** A key of `figures`. */
  readonly figure: string;
  /** What is compared: an engine, a representation, a format. */
  readonly line: string;
  /** Where on the axis: objects, replicas, watchers. */
  readonly at: number;
  readonly value: number;
}

/** All runs of one figure at one place. */
export interface Summary {
  readonly figure: string;
  readonly line: string;
  readonly at: number;
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly runs: number;
}

export interface Figure {
  readonly label: string;
  readonly unit: string;
}

export interface Plot {
  readonly figure: string;
  readonly title: string;
  readonly xScale: 'log' | 'linear';
  readonly yScale: 'log' | 'linear';
  /** Only these lines; else all that have the figure. */
  readonly lines?: readonly string[];
  readonly bound?: { readonly y: number; readonly label: string };
}

/** The medians of all runs. */
export interface Medians {
  /** Throws when there is no such figure: a misspelt one must not read as a small one. */
  of(figure: string, line: string, at: number): number;
  /** The places that have the figure, in rising order. */
  places(figure: string, line: string): readonly number[];
}

/** What must hold on every machine, because of how things are made and not of how fast they are. */
export interface Direction {
  readonly says: string;
  holds(medians: Medians): boolean;
}

export interface Verdict {
  readonly reproduces: 'yes' | 'no' | 'in part';
  /** Sentences with the figures that say so. */
  readonly text: readonly string[];
}

/** How much to measure. `small` takes seconds and says nothing about costs; `full` is for a quiet machine. */
export type Size = 'small' | 'full';

/** A published finding, measured again. The page of the experiment is made of this and of the runs. */
export interface Experiment {
  readonly title: string;
  /** What was published, in our own words. */
  readonly claim: string;
  readonly source: readonly { readonly title: string; readonly url: string }[];
  /** Paragraphs: what stands in for what, what is measured, what is left out. */
  readonly method: readonly string[];
  /** Programs that it starts. */
  readonly needs?: readonly 'etcd'[];
  /** Flags of the process that measures, e.g. `--max-semi-space-size=64`. `--expose-gc` is always there. */
  readonly execArgv?: readonly string[];
  readonly xLabel: string;
  readonly figures: Readonly<Record<string, Figure>>;
  readonly plots: readonly Plot[];
  readonly directions: readonly Direction[];
  /** In a process of its own for each run; the order of what is compared changes with the run, so that none is always first. */
  measure(size: Size, run: number): Promise<readonly Sample[]>;
  /** Of full runs only. */
  verdict(medians: Medians): Verdict;
}

export function summarize(samples: readonly Sample[]): Summary[] {
  const groups = new Map<string, Sample[]>();
  for (const sample of samples) {
    const key = JSON.stringify([sample.figure, sample.line, sample.at]);
    groups.set(key, [...(groups.get(key) ?? []), sample]);
  }
  return [...groups.values()].map((group) => {
    const values = group.map(({ value }) => value).sort((a, b) => a - b);
    const { figure, line, at } = group[0]!;
    return { figure, line, at, median: median(values), low: values[0]!, high: values.at(-1)!, runs: values.length };
  });
}

export function mediansOf(summaries: readonly Summary[]): Medians {
  return {
    of(figure, line, at) {
      const found = summaries.find((one) => one.figure === figure && one.line === line && one.at === at);
      if (found === undefined) throw new Error(`no figure ${figure} of ${line} at ${at}`);
      return found.median;
    },
    places: (figure, line) =>
      summaries
        .filter((one) => one.figure === figure && one.line === line)
        .map(({ at }) => at)
        .sort((a, b) => a - b),
  };
}
