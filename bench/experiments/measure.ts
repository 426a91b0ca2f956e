import { loadExperiment } from './catalogue.js';
import type { Size } from './experiment.js';

/** The process of one run: node --expose-gc measure.js NAME SIZE RUN. Sends the samples to its parent. */
const [, , name, size, run] = process.argv;
const experiment = await loadExperiment(name!);
const samples = await experiment.measure(size as Size, Number(run));
process.send!({ samples }, () => process.disconnect());
