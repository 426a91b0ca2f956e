import { ReviewError } from '../../src/auth/review-client.js';

/** What a webhook says: the document of its answer, or why there is none. */
export type ScriptedAnswer = object | ReviewError;

/** Stands for the client of a webhook, and keeps what was asked. */
export function scriptedReviews(answer: ScriptedAnswer | (() => ScriptedAnswer | Promise<ScriptedAnswer>)) {
  const bodies: string[] = [];
  const signals: AbortSignal[] = [];
  const client = {
    async review(_kind: string, _version: string, body: string, signal: AbortSignal) {
      bodies.push(body);
      signals.push(signal);
      const given = await (typeof answer === 'function' ? answer() : answer);
      if (given instanceof ReviewError) throw given;
      return given as Record<string, unknown>;
    },
  };
  return { client, bodies, signals };
}
