import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { FieldRequirement } from '../api/field-selector.js';
import { type LabelRequirement, parseLabelSelector } from '../api/label-selector.js';
import type { Clock } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import type { Attributes, ResourceAttributes } from './attributes.js';
import type { Authorizer, Decision, Rules } from './authorizer.js';
import { member, type ReviewClient, ReviewError } from './review-client.js';
import { type Asker, GONE, SharedCalls } from './shared-calls.js';
import type { ReviewVersion } from './webhook-tokens.js';

export interface WebhookAuthorizerOptions {
  readonly client: Pick<ReviewClient, 'review'>;
  readonly version: ReviewVersion;
  /** How long an answer is kept that allows, and one that does not; 0: not at all. */
  readonly authorizedTtlMs: number;
  readonly unauthorizedTtlMs: number;
  readonly clock: Clock;
  readonly limits: Pick<Limits, 'reviewedAccessMax'>;
  /** Why there was no answer. */
  readonly failed: (reason: string) => void;
}

type Json = Readonly<Record<string, unknown>>;

/** What a request may say at most, and an answer, for the answer to be kept: kube-apiserver's bound, against those who would fill the cache. */
const KEPT_LENGTH_MAX = 10_000;

const NEVER = new AbortController().signal;
const GAVE_UP: Decision = { allowed: false, reason: '', error: 'context canceled', remote: true };

/**
 * `--authorization-mode=Webhook`: who may do what, somebody else knows. He is asked by a SubjectAccessReview
 * (https://kubernetes.io/docs/reference/access-authn-authz/webhook/). As long as he does not answer there is no opinion, and an error:
 * whoever comes next may allow it; if nobody does, the request fails.
 */
export class WebhookAuthorizer implements Authorizer {
  readonly ready = true;
  readonly #options: WebhookAuthorizerOptions;
  /** By what was asked. */
  readonly #answers: LRUCache<string, { readonly decision: Decision; readonly untilMs: number }>;
  readonly #calls = new SharedCalls<Decision>();

  constructor(options: WebhookAuthorizerOptions) {
    this.#options = options;
    this.#answers = new LRUCache({ max: options.limits.reviewedAccessMax });
  }

  rulesFor(): Rules {
    const error = 'webhook authorizer does not support user rule resolution';
    return { resourceRules: [], nonResourceRules: [], error, incomplete: true };
  }

  authorize(attributes: Attributes, asker?: Asker): Decision | Promise<Decision> {
    const spec = JSON.stringify(specOf(attributes, this.#options.version));
    // Texts of clients may be long; what they are kept by is not.
    const key = createHash('sha256').update(spec).digest('base64');
    const answer = this.#answers.get(key);
    if (answer !== undefined && this.#options.clock.monotonicMs() < answer.untilMs) return answer.decision;
    const isKept = controlledLength(attributes) < KEPT_LENGTH_MAX;
    return this.#calls
      .join(key, asker?.signal ?? NEVER, (signal) => this.#ask(spec, isKept ? key : undefined, signal))
      .then((decision) => (decision === GONE ? GAVE_UP : decision));
  }

  async #ask(spec: string, key: string | undefined, signal: AbortSignal): Promise<Decision> {
    const { client, version, authorizedTtlMs, unauthorizedTtlMs, clock, failed } = this.#options;
    const kind = 'SubjectAccessReview';
    const apiVersion = `authorization.k8s.io/${version}`;
    const body = `{"kind":"${kind}","apiVersion":"${apiVersion}","metadata":{},"spec":${spec},"status":{"allowed":false}}\n`;
    let decision: Decision;
    let keptMs: number;
    try {
      const status = await client.review(kind, apiVersion, body, signal);
      decision = readStatus(status);
      keptMs = member.boolean(status, 'allowed') ? authorizedTtlMs : unauthorizedTtlMs;
    } catch (error) {
      if (!(error instanceof ReviewError)) throw error;
      if (signal.aborted) return GAVE_UP;
      failed(error.message);
      return { allowed: false, reason: '', error: error.message, remote: true };
    }
    if (key !== undefined && keptMs > 0 && decision.reason.length < KEPT_LENGTH_MAX) {
      this.#answers.set(key, { decision, untilMs: clock.monotonicMs() + keptMs });
    }
    return decision;
  }
}

const BOTH = 'webhook subject access review returned both allow and deny response';

function readStatus(status: Json): Decision {
  const allowed = member.boolean(status, 'allowed');
  const reason = member.text(status, 'reason');
  member.text(status, 'evaluationError'); // nobody reads it, but it has its type
  if (!member.boolean(status, 'denied')) return { allowed, reason, remote: true };
  return { allowed: false, denied: true, reason, remote: true, ...(allowed ? { error: BOTH } : {}) };
}

/** The spec of the review, its members in the order of Go's types; what is empty is left out. */
function specOf(attributes: Attributes, version: ReviewVersion): Json {
  const { user } = attributes;
  const extra = Object.keys(user.extra).sort();
  return {
    ...(attributes.path === undefined
      ? { resourceAttributes: resourceAttributes(attributes) }
      : { nonResourceAttributes: withoutEmpty({ path: attributes.path, verb: attributes.verb }) }),
    ...(user.name === '' ? {} : { user: user.name }),
    ...(user.groups.length === 0 ? {} : { [version === 'v1' ? 'groups' : 'group']: user.groups }),
    ...(extra.length === 0 ? {} : { extra: Object.fromEntries(extra.map((key) => [key, user.extra[key]])) }),
    ...(user.uid === '' ? {} : { uid: user.uid }),
  };
}

function resourceAttributes(attributes: ResourceAttributes): Json {
  const { namespace, verb, group, version, resource, subresource, name, fields = [], labelSelector = '' } = attributes;
  const labels = labelSelector === '' ? undefined : parseLabelSelector(labelSelector);
  const byField = fields.map(fieldRequirement).filter((one) => one !== undefined);
  // Of a selector that does not parse nothing counts: it would only narrow what is asked for.
  const byLabel = labels?.ok === true ? labels.value.map(labelRequirement).filter((one) => one !== undefined) : [];
  return {
    ...withoutEmpty({ namespace, verb, group, version, resource, subresource, name }),
    ...(byField.length === 0 ? {} : { fieldSelector: { requirements: byField } }),
    ...(byLabel.length === 0 ? {} : { labelSelector: { requirements: byLabel } }),
  };
}

function withoutEmpty(texts: Readonly<Record<string, string>>): Json {
  return Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== ''));
}

/** undefined: the API has no word for it; without it more is asked for, not less. */
function fieldRequirement({ field, operator, value, values = [value] }: FieldRequirement): Json | undefined {
  switch (operator) {
    case '=':
    case '==':
    case 'in':
      return { key: field, operator: 'In', values };
    case '!=':
    case 'notin':
      return { key: field, operator: 'NotIn', values };
    case 'exists':
    case '!':
      return undefined; // of ours: a field that is not empty, or is
  }
}

function labelRequirement({ key, operator, values }: LabelRequirement): Json | undefined {
  switch (operator) {
    case '=':
    case '==':
    case 'in':
      return { key, operator: 'In', values };
    case '!=':
    case 'notin':
      return { key, operator: 'NotIn', values };
    case 'exists':
      return { key, operator: 'Exists' };
    case '!':
      return { key, operator: 'DoesNotExist' };
    case 'gt':
    case 'lt':
      return undefined;
  }
}

/** Of what the client chooses. */
function controlledLength(attributes: Attributes): number {
  if (attributes.path !== undefined) return attributes.verb.length + attributes.path.length;
  const { namespace, verb, group, version, resource, subresource, name } = attributes;
  return [namespace, verb, group, version, resource, subresource, name].reduce((sum, text) => sum + text.length, 0);
}
