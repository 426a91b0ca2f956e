/** One deliberate bug, and who has to notice it. */
export interface Mutation {
  /**
   * What the changed line stands for: a validator (`validator Ordered`), a numbered invariant with the file that
   * states it (`src/engine/cow-btree.ts I4`), a row of the read plan (`read plan: ...`), or a rule in words.
   */
  readonly guards: string;
  /** Source file. */
  readonly file: string;
  /** Occurs there exactly once. */
  readonly find: string;
  readonly replace: string;
  /** Compiled test files, without `test/` and `.test.js`; any of them may catch it. Run one after the other. */
  readonly tests: readonly string[];
  /** Only the tests whose names match, where a file has many slow ones. */
  readonly only?: string;
  /** What the failing test has to say, where it matters who notices. */
  readonly shows?: RegExp;
}

/** Mutations of one file that the same tests catch. */
export function of(
  file: string,
  tests: readonly string[],
  rows: readonly (readonly [guards: string, find: string, replace: string, more?: Pick<Mutation, 'only' | 'shows'>])[],
): Mutation[] {
  return rows.map(([guards, find, replace, more]) => ({ guards, file, find, replace, tests, ...more }));
}
