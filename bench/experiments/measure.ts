import { loadExperiment } from './catalogue.js';
import type { Size } from './experiment.js';

/** The process of one run: node --expose-gc measure.js NAME SIZE RUN. Sends the samples to its parent. */
const [, , name, size, run] = process.argv;
// What an experiment has started is ended when its process exits, and so it must not die without that.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.on(signal, () => process.exit(code));
}
process.on('disconnect', () => process.exit());
const experiment = await loadExperiment(name!);
const samples = await experiment.measure(size as Size, Number(run));
process.send!({ samples }, () => process.disconnect());
