import { loadExperiment } from './catalogue.js';
import type { Sample, Size } from './experiment.js';

/** For `inChild`. */
export const MEASURE = import.meta.url;

/** One run of an experiment. */
export async function measure({
  name,
  size,
  run,
}: {
  readonly name: string;
  readonly size: Size;
  readonly run: number;
}): Promise<readonly Sample[]> {
  const experiment = await loadExperiment(name);
  return experiment.measure(size, run);
}
