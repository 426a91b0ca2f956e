import { createHmac, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { quoteGo } from '../api/go-text.js';
import type { Clock } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import type { Known, ReviewedToken, TokenAuthenticator } from './authenticator.js';
import { authenticated, type Identities, type Identity } from './identity.js';
import { member, type ReviewClient, ReviewError } from './review-client.js';
import { type Asker, GONE, SharedCalls } from './shared-calls.js';

export type ReviewVersion = 'v1' | 'v1beta1';

export interface WebhookTokensOptions {
  readonly client: Pick<ReviewClient, 'review'>;
  readonly version: ReviewVersion;
  /** `--api-audiences`: one of them must be among a token's; none: any token will do. */
  readonly audiences: readonly string[];
  /** How long it is known whose token it is, or that it is nobody's; 0: it is asked each time. */
  readonly cacheTtlMs: number;
  /** The same where there was no answer. */
  readonly errorTtlMs: number;
  readonly identities: Identities;
  readonly clock: Clock;
  readonly limits: Pick<Limits, 'reviewedTokensMax'>;
  /** Why nobody is known by a token; the text holds no token. */
  readonly failed: (reason: string) => void;
}

interface Answer {
  readonly found: ReviewedToken;
  /** Of the monotonic clock. */
  readonly untilMs: number;
}

/**
 * `--authentication-token-webhook-config-file`: whose token it is, somebody else knows. He is asked by a TokenReview
 * (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication). Answers are kept under an
 * HMAC of the token, as in `StaticTokens`, and many who come at once with one token are one question.
 */
export class WebhookTokens implements TokenAuthenticator {
  readonly #options: WebhookTokensOptions;
  readonly #secret = randomBytes(32);
  readonly #answers: LRUCache<string, Answer>;
  readonly #calls = new SharedCalls<ReviewedToken>();

  constructor(options: WebhookTokensOptions) {
    this.#options = options;
    this.#answers = new LRUCache({ max: options.limits.reviewedTokensMax });
  }

  get remembered(): number {
    return this.#answers.size;
  }

  find(token: string, asker: Asker): Known | Promise<Known> {
    const found = this.#find(token, this.#options.audiences, asker);
    return found instanceof Promise ? found.then(({ identity }) => identity) : found.identity;
  }

  async review(token: string, audiences: readonly string[], asker: Asker): Promise<ReviewedToken> {
    return this.#find(token, audiences, asker);
  }

  #find(token: string, audiences: readonly string[], asker: Asker): ReviewedToken | Promise<ReviewedToken> {
    const asked = JSON.stringify([token, audiences]);
    const key = createHmac('sha256', this.#secret).update(asked).digest('base64');
    const answer = this.#answers.get(key);
    if (answer !== undefined && this.#options.clock.monotonicMs() < answer.untilMs) return answer.found;
    return this.#calls
      .join(key, asker.signal, (signal) => this.#ask(token, audiences, key, signal))
      .then((found) => (found === GONE ? NOBODY : found));
  }

  async #ask(token: string, audiences: readonly string[], key: string, signal: AbortSignal): Promise<ReviewedToken> {
    const { client, version, audiences: own, cacheTtlMs, errorTtlMs, clock, failed } = this.#options;
    const kind = 'TokenReview';
    const apiVersion = `authentication.k8s.io/${version}`;
    const spec = { token, ...(audiences.length === 0 ? {} : { audiences }) };
    const body = `${JSON.stringify({ kind, apiVersion, metadata: {}, spec, status: { user: {} } })}\n`;
    let keptMs = cacheTtlMs;
    let found: ReviewedToken;
    try {
      found = readStatus(await client.review(kind, apiVersion, body, signal), audiences, own);
      if (found.identity !== undefined) {
        found = { ...found, identity: this.#options.identities.intern(authenticated(found.identity)) };
      }
    } catch (error) {
      if (!(error instanceof ReviewError)) throw error;
      if (signal.aborted) return NOBODY; // nobody waits
      const problem = withoutToken(error.message, token);
      failed(problem);
      found = { problem };
      keptMs = errorTtlMs;
    }
    if (keptMs > 0) this.#answers.set(key, { found, untilMs: clock.monotonicMs() + keptMs });
    return found;
  }
}

const NOBODY: ReviewedToken = { problem: '' };

/** A webhook may repeat what it was asked; its text may have been quoted since. */
function withoutToken(text: string, token: string): string {
  return text.replaceAll(token, '[token]').replaceAll(quoteGo(token).slice(1, -1), '[token]');
}

/** Throws ReviewError: it could not be found out. `own`: the audiences of the API. */
function readStatus(
  status: Readonly<Record<string, unknown>>,
  wanted: readonly string[],
  own: readonly string[],
): ReviewedToken {
  const named = member.texts(status, 'audiences');
  // Who does not say for whom a token is knows nothing of audiences, and means us.
  const audiences = (named.length > 0 ? named : own).filter((one) => wanted.includes(one));
  if (wanted.length > 0 && audiences.length === 0) return NOBODY;
  const error = member.text(status, 'error');
  if (!member.boolean(status, 'authenticated')) {
    if (error === '') return NOBODY;
    throw new ReviewError(error);
  }
  const user = member.object(status, 'user');
  const name = member.text(user, 'username');
  // kube-apiserver would take it for a user without a name.
  if (name === '') throw new ReviewError('the answer knows the token, and names no user');
  const extra = member.object(user, 'extra');
  const identity: Identity = {
    name,
    uid: member.text(user, 'uid'),
    groups: member.texts(user, 'groups'),
    extra: Object.fromEntries(Object.keys(extra).map((key) => [key, member.texts(extra, key)])),
  };
  return { identity, audiences };
}
