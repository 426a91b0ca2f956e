import { splitInitial } from './records.js';
import { type Fault, faults, simulate } from './simulation.js';
import { validators } from './validators.js';

/** What many runs came to. */
export class Tally {
  readonly seen = { lists: 0, streams: 0, resumed: 0, events: 0, bookmarks: 0, refused: 0 };
  readonly happened: Record<Fault, number> = Object.fromEntries(faults.map((fault) => [fault, 0])) as never;
  runs = 0;

  /** Runs a seed and judges it: returns what is wrong. */
  async run(seed: number): Promise<string[]> {
    this.runs++;
    const outcome = await simulate(seed);
    const problems = [...outcome.problems];
    for (const [name, validate] of Object.entries(validators)) {
      problems.push(...validate(outcome.records).map((problem) => `${name}: ${problem}`));
    }
    for (const fault of faults) this.happened[fault] += outcome.happened[fault];
    for (const record of outcome.records) {
      if (record.kind === 'list') {
        this.seen.lists++;
        continue;
      }
      this.seen.streams++;
      if (record.after !== undefined) this.seen.resumed++;
      for (const line of splitInitial(record).live) {
        if (line.kind === 'event') this.seen.events++;
        else if (line.kind === 'bookmark') this.seen.bookmarks++;
        else this.seen.refused++;
      }
    }
    return problems;
  }
}
