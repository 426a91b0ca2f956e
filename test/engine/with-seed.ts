import { type Random, seededRandom, systemRandom } from '../../src/lib/random.js';

/** Runs a test with a fresh seed, or with SEED from the environment, and names the seed when the test fails. */
export function withSeed(run: (random: Random) => void): void {
  const given = process.env['SEED'];
  const seed = given === undefined ? systemRandom.int(2 ** 31) : Number(given);
  try {
    run(seededRandom(seed));
  } catch (error) {
    if (error instanceof Error) error.message = `SEED=${seed}: ${error.message}`;
    throw error;
  }
}
