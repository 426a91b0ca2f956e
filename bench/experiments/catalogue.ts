import { readdirSync } from 'node:fs';
import type { Experiment } from './experiment.js';

const FOLDER = new URL('./published/', import.meta.url);

/** The names of all experiments: the files of published/. */
export function experimentNames(): string[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.js'))
    .map((file) => file.slice(0, -'.js'.length))
    .sort();
}

export async function loadExperiment(name: string): Promise<Experiment> {
  const { experiment } = (await import(new URL(`${name}.js`, FOLDER).href)) as { experiment: Experiment };
  return experiment;
}
