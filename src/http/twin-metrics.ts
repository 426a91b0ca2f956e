import type { Registry } from 'prom-client';
import { collectedCounter } from './collected-counter.js';

/** What engines that run beside others were asked (`--twin`). */
export interface TwinCounts {
  readonly comparisons: number;
  readonly differences: number;
}

/** Read when somebody asks. Nothing is reported without --twin. */
export function registerTwinMetrics(registry: Registry, counts: () => TwinCounts | undefined): void {
  collectedCounter(
    registry,
    'listwatch_twin_comparisons_total',
    'Answers of an engine that its twin was asked for, too.',
    counts,
    ({ comparisons }) => comparisons,
  );
  collectedCounter(
    registry,
    'listwatch_twin_differences_total',
    'Of these, how many the twin answered otherwise; the log says how.',
    counts,
    ({ differences }) => differences,
  );
}
