/** Which program a figure is of. */
export type Subject = 'peer' | 'listwatch' | 'raw-socket' | 'node-https' | 'paged-read' | 'bare-watch';

/**
 * What listwatch must reach. `ratio` compares its median with that of another subject in the same run,
 * `absolute` with a figure; `report` asks for nothing.
 */
export type Target =
  | { readonly kind: 'ratio'; readonly against: Subject; readonly column?: string; readonly limit: number }
  | { readonly kind: 'absolute'; readonly limit: number }
  | { readonly kind: 'report' };

/** One figure of a mode: a column of the load bench's row. */
export interface Measure {
  readonly column: string;
  readonly better: 'lower' | 'higher';
  readonly target: Target;
}

/** One run of one mode against one subject. */
export interface Sample {
  readonly mode: string;
  readonly subject: Subject;
  /** From 0. */
  readonly run: number;
  readonly values: Readonly<Record<string, number>>;
}

export interface Comparison {
  readonly mode: string;
  readonly title: string;
  readonly measure: Measure;
  readonly runs: number;
  readonly medians: Partial<Record<Subject, number>>;
  readonly samples: Partial<Record<Subject, readonly number[]>>;
  /** The third program: what the target compares with, or else the baseline of the mode. */
  readonly other: { readonly subject: Subject; readonly value: number } | undefined;
  /** listwatch over the peer, or over what the target compares with; undefined where either is missing or zero. */
  readonly ratio: number | undefined;
  readonly verdict: 'met' | 'not met' | 'reported' | 'not measured';
}

export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error('the median of nothing');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Measured beside the two servers where a mode has such a baseline. */
const BASELINES: readonly Subject[] = ['raw-socket', 'node-https', 'paged-read', 'bare-watch'];

/** The medians of one measure over the runs of its mode, and what they say about its target. */
export function compare(
  mode: { readonly name: string; readonly title: string },
  measure: Measure,
  all: readonly Sample[],
): Comparison {
  const medians: Partial<Record<Subject, number>> = {};
  const samples: Partial<Record<Subject, number[]>> = {};
  for (const sample of all) {
    const value = sample.mode === mode.name ? sample.values[measure.column] : undefined;
    if (value !== undefined) (samples[sample.subject] ??= []).push(value);
  }
  for (const [subject, values] of Object.entries(samples)) medians[subject as Subject] = median(values);
  const ours = medians.listwatch;
  const { target } = measure;
  const against = otherMedian(measure, all, mode.name, medians);
  const beside = BASELINES.find((subject) => medians[subject] !== undefined);
  let other: Comparison['other'];
  if (target.kind === 'ratio' && target.against !== 'peer' && against !== undefined) {
    other = { subject: target.against, value: against };
  } else if (beside !== undefined) other = { subject: beside, value: medians[beside]! };
  const ratio = ours === undefined || against === undefined || against === 0 ? undefined : ours / against;
  const judged = target.kind === 'absolute' ? ours : ratio;
  let verdict: Comparison['verdict'] = 'not measured';
  if (target.kind === 'report') verdict = ours === undefined ? 'not measured' : 'reported';
  else if (judged !== undefined) {
    verdict = (measure.better === 'lower' ? judged <= target.limit : judged >= target.limit) ? 'met' : 'not met';
  }
  const runs = samples.listwatch?.length ?? 0;
  return { mode: mode.name, title: mode.title, measure, runs, medians, samples, other, ratio, verdict };
}

function otherMedian(
  { target, column }: Measure,
  all: readonly Sample[],
  mode: string,
  medians: Partial<Record<Subject, number>>,
): number | undefined {
  if (target.kind !== 'ratio') return medians.peer;
  if (target.column === undefined || target.column === column) return medians[target.against];
  const values = all.flatMap((sample) => {
    const value = sample.values[target.column!];
    return sample.mode === mode && sample.subject === target.against && value !== undefined ? [value] : [];
  });
  return values.length === 0 ? undefined : median(values);
}

/** `<= 1/30`, `>= 2x`, `<= 15`: the target as issue and tables write it. */
export function targetText({ target, better }: Measure): string {
  const sign = better === 'lower' ? '<=' : '>=';
  if (target.kind === 'report') return '';
  if (target.kind === 'absolute') return `${sign} ${figure(target.limit)}`;
  const of = target.against === 'peer' ? '' : ` of ${target.against}`;
  return `${sign} ${ratioText(target.limit)}${of}`;
}

/** A ratio below a half as a fraction of one, others as a factor. */
export function ratioText(ratio: number | undefined): string {
  if (ratio === undefined) return '';
  if (ratio === 0) return '0';
  return ratio < 0.5 ? `1/${figure(1 / ratio)}` : `${figure(ratio)}x`;
}

export function figure(value: number | undefined): string {
  if (value === undefined) return '';
  const magnitude = Math.abs(value);
  if (magnitude >= 1000 || Number.isInteger(value)) return Math.round(value).toString();
  if (magnitude >= 10) return value.toFixed(1);
  return value.toPrecision(2).replace(/\.0$/, '');
}
