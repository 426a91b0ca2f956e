import { Counter, Histogram, type Registry } from 'prom-client';

/** `authn`: TokenReviews; `authz`: SubjectAccessReviews. */
export type ReviewKind = 'authn' | 'authz';

const SECONDS = [0.25, 0.5, 0.7, 1, 1.5, 3, 5, 10];

/** Reviews that we post, by the names that servers have which delegate to a kube-apiserver. */
export class ReviewMetrics {
  readonly #registry: Registry;
  readonly #made = new Map<ReviewKind, ReturnType<typeof create>>();

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** `code`: `<error>` when there was no answer. */
  posted(kind: ReviewKind, code: string, seconds: number): void {
    let made = this.#made.get(kind);
    if (made === undefined) this.#made.set(kind, (made = create(this.#registry, kind)));
    made.total.inc({ code });
    made.duration.observe({ code }, seconds);
  }
}

function create(registry: Registry, kind: ReviewKind) {
  const what = kind === 'authn' ? 'whose a token is' : 'what somebody may';
  const common = { labelNames: ['code'] as const, registers: [registry] };
  return {
    total: new Counter({
      ...common,
      name: `apiserver_delegated_${kind}_request_total`,
      help: `Reviews posted to find out ${what}, by the HTTP code of the answer.`,
    }),
    duration: new Histogram({
      ...common,
      name: `apiserver_delegated_${kind}_request_duration_seconds`,
      help: `How long it took until such a review was answered.`,
      buckets: SECONDS,
    }),
  };
}
