import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { quoteGo } from '../api/go-text.js';
import type { Clock } from '../lib/clock.js';
import { isObject, textMember } from '../lib/is-object.js';
import type { Limits } from '../lib/limits.js';
import type { Failure } from '../serve/failure.js';
import type { Known, ReviewedToken, TokenAuthenticator } from './authenticator.js';
import type { BoundName, BoundObject, BoundObjects, BoundResource, Looked } from './bound-objects.js';
import { authenticated, type Identity } from './identity.js';
import { isSignedBy, type Jwt, parseJwt, type VerificationKey } from './jwt.js';

export interface ServiceAccountOptions {
  readonly keys: readonly VerificationKey[];
  /** `--service-account-issuer`: who may have issued tokens, besides those that lie in Secrets. */
  readonly issuers: readonly string[];
  /** `--api-audiences`: one of them must be among a token's; none: any token will do. */
  readonly audiences: readonly string[];
  /** `--service-account-lookup`: tokens that lie in Secrets are held against these. */
  readonly lookup: boolean;
  readonly objects: BoundObjects;
  readonly clock: Clock;
  readonly limits: Pick<Limits, 'tokensMax' | 'tokenKeptMs'>;
  /** Why a token was refused; the text holds no token. */
  readonly refused: (reason: string) => void;
}

/** What a token says, in the claims that count. Times are in milliseconds since 1970. */
interface Claims {
  readonly legacy: boolean;
  readonly namespace: string;
  readonly account: Ref;
  readonly pod: Ref | undefined;
  readonly secret: Ref | undefined;
  readonly node: Ref | undefined;
  readonly id: string;
  readonly expiresMs: number | undefined;
  readonly notBeforeMs: number | undefined;
  readonly issuedMs: number | undefined;
}

interface Ref {
  readonly name: string;
  readonly uid: string;
}

/** Something that a token is bound to, and what it was when it was looked up last. */
interface Tie extends BoundName {
  readonly uid: string;
  seen: BoundObject | undefined;
}

interface Verified {
  readonly digest: Buffer;
  readonly claims: Claims;
  readonly ties: readonly Tie[];
  readonly identity: Identity;
  readonly untilMs: number;
}

type Problem = string | Failure | undefined;

const NO_DIGEST = Buffer.alloc(0);
const LEGACY_ISSUER = 'kubernetes/serviceaccount';
const LEGACY_CLAIM = 'kubernetes.io/serviceaccount/';
const EXTRA = 'authentication.kubernetes.io/';

/** By how much clocks may differ, and for how long what was deleted still vouches for a token: kube-apiserver's minute. */
const LEEWAY_MS = 60_000;

/**
 * Tokens of service accounts: JWTs that name their account, and what they end with: a Pod, Secret or Node
 * (https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/).
 *
 * Signatures cost most, so who has shown one is known for a while, by an HMAC of the token as in `StaticTokens`. What the token is
 * bound to is looked up for every request, which costs little while it has not changed.
 */
export class ServiceAccountTokens implements TokenAuthenticator {
  readonly #options: ServiceAccountOptions;
  readonly #secret = randomBytes(32);
  readonly #verified = new Map<string, Verified>();

  constructor(options: ServiceAccountOptions) {
    this.#options = options;
  }

  get remembered(): number {
    return this.#verified.size;
  }

  find(token: string): Known | Promise<Known> {
    const digest = createHmac('sha256', this.#secret).update(token).digest();
    const key = digest.toString('latin1');
    const nowMs = this.#options.clock.nowMs();
    const known = this.#verified.get(key);
    if (known !== undefined && timingSafeEqual(known.digest, digest)) {
      if (nowMs < known.untilMs) return this.#check(token, known, nowMs, key);
      this.#verified.delete(key);
    }
    const jwt = parseJwt(token);
    const issuer = jwt?.claims['iss'];
    if (jwt === undefined || typeof issuer !== 'string' || !this.#knows(issuer)) return undefined;
    const claims = this.#verify(jwt, issuer, this.#options.audiences);
    if (typeof claims === 'string') return this.#refuse(claims);
    return this.#check(token, this.#fresh(claims, digest, nowMs), nowMs, key);
  }

  async review(token: string, audiences: readonly string[]): Promise<ReviewedToken | Failure> {
    const jwt = parseJwt(token);
    const issuer = jwt?.claims['iss'];
    if (jwt === undefined || typeof issuer !== 'string' || !this.#knows(issuer)) return { problem: '' };
    const claims = this.#verify(jwt, issuer, audiences);
    if (typeof claims === 'string') return { problem: claims };
    const nowMs = this.#options.clock.nowMs();
    const verified = this.#fresh(claims, NO_DIGEST, nowMs);
    const problem = await this.#problemOf(token, verified, nowMs);
    if (problem !== undefined) return typeof problem === 'string' ? { problem } : problem;
    const meant = this.#audiencesOf(jwt);
    return { identity: verified.identity, audiences: audiences.filter((one) => meant.includes(one)) };
  }

  #fresh(claims: Claims, digest: Buffer, nowMs: number): Verified {
    const { lookup, limits } = this.#options;
    return {
      digest,
      claims,
      ties: tiesOf(claims, lookup),
      identity: identityOf(claims),
      untilMs: nowMs + limits.tokenKeptMs,
    };
  }

  #knows(issuer: string): boolean {
    return issuer === LEGACY_ISSUER || this.#options.issuers.includes(issuer);
  }

  #refuse(reason: string): undefined {
    this.#options.refused(reason);
  }

  /** Those without an audience are meant for the API server. */
  #audiencesOf(jwt: Jwt): readonly string[] {
    const named = audiencesOf(jwt.claims['aud']);
    return named.length === 0 ? this.#options.audiences : named;
  }

  /** What the token says, if it was signed by one of the keys, for one of `audiences`; or why it is refused. */
  #verify(jwt: Jwt, issuer: string, audiences: readonly string[]): Claims | string {
    const { keys, audiences: own } = this.#options;
    const candidates = jwt.keyId === '' ? keys : keys.filter(({ id }) => id === jwt.keyId);
    if (candidates.length === 0) return 'invalid signature, no keys found';
    if (!candidates.some(({ key }) => isSignedBy(jwt, key))) return 'go-jose/go-jose: error in cryptographic primitive';
    const claims = readClaims(jwt.claims, issuer === LEGACY_ISSUER);
    if (typeof claims === 'string') return claims;
    const meant = this.#audiencesOf(jwt);
    if (own.length > 0 && !meant.some((audience) => audiences.includes(audience))) {
      return `token audiences ${quoteAll(meant)} is invalid for the target audiences ${quoteAll(audiences)}`;
    }
    return claims;
  }

  /** Whether the token holds now; one that does is remembered, one that does not is forgotten. */
  #check(token: string, verified: Verified, nowMs: number, key: string): Known | Promise<Known> {
    const judge = (problem: Problem): Known => {
      if (problem === undefined) {
        this.#remember(key, verified);
        return verified.identity;
      }
      if (typeof problem !== 'string') return problem;
      this.#verified.delete(key);
      return this.#refuse(problem);
    };
    const problem = this.#problemOf(token, verified, nowMs);
    return problem instanceof Promise ? problem.then(judge) : judge(problem);
  }

  /** Why the token does not hold now; a Failure: it cannot be found out. */
  #problemOf(token: string, { claims, ties }: Verified, nowMs: number): Problem | Promise<Problem> {
    const late = claims.legacy ? undefined : timeProblem(claims, nowMs);
    if (late !== undefined) return late;
    const looked = ties.map((tie) => this.#options.objects.find(tie, tie.seen));
    const judge = (found: readonly Looked[]): Problem => {
      for (const [index, object] of found.entries()) {
        const tie = ties[index]!;
        if (object !== 'absent' && 'kind' in object) return object;
        const problem = tieProblem(tie, object, claims, token, nowMs);
        if (problem !== undefined) return problem;
        tie.seen = object as BoundObject;
      }
      return undefined;
    };
    const isHere = (one: Looked | Promise<Looked>): one is Looked => !(one instanceof Promise);
    return looked.every(isHere) ? judge(looked) : Promise.all(looked).then(judge);
  }

  /** Bounded: those that were verified longest ago go. */
  #remember(key: string, verified: Verified): void {
    if (this.#verified.has(key)) return;
    if (this.#verified.size >= this.#options.limits.tokensMax) {
      this.#verified.delete(this.#verified.keys().next().value!);
    }
    this.#verified.set(key, verified);
  }
}

function readClaims(claims: Jwt['claims'], legacy: boolean): Claims | string {
  const times = ['exp', 'nbf', 'iat'].map((name) => claims[name]);
  if (times.some((time) => time !== undefined && (typeof time !== 'number' || !Number.isFinite(time)))) {
    return 'go-jose/go-jose/jwt: expected number value to unmarshal NumericDate';
  }
  const [expiresMs, notBeforeMs, issuedMs] = times.map((time) =>
    time === undefined ? undefined : Math.floor(time as number) * 1_000,
  );
  const common = { legacy, expiresMs, notBeforeMs, issuedMs };
  if (legacy) return readLegacyClaims(claims, common);
  const own = claims['kubernetes.io'];
  const kubernetes = isObject(own) ? own : {};
  const account = refOf(kubernetes['serviceaccount']) ?? { name: '', uid: '' };
  return {
    ...common,
    namespace: textMember(kubernetes, 'namespace'),
    account,
    pod: refOf(kubernetes['pod']),
    secret: refOf(kubernetes['secret']),
    node: refOf(kubernetes['node']),
    id: textMember(claims, 'jti'),
  };
}

type Times = Pick<Claims, 'legacy' | 'expiresMs' | 'notBeforeMs' | 'issuedMs'>;

function readLegacyClaims(claims: Jwt['claims'], times: Times): Claims | string {
  const claim = (name: string) => textMember(claims, `${LEGACY_CLAIM}${name}`);
  const subject = textMember(claims, 'sub');
  if (subject === '') return 'sub claim is missing';
  const namespace = claim('namespace');
  if (namespace === '') return 'namespace claim is missing';
  const secret = claim('secret.name');
  if (secret === '') return 'secretName claim is missing';
  const name = claim('service-account.name');
  if (name === '') return 'serviceAccountName claim is missing';
  const uid = claim('service-account.uid');
  if (uid === '') return 'serviceAccountUID claim is missing';
  if (subject !== userName(namespace, name)) return 'sub claim is invalid';
  return {
    ...times,
    namespace,
    account: { name, uid },
    secret: { name: secret, uid: '' },
    pod: undefined,
    node: undefined,
    id: '',
  };
}

function timeProblem({ expiresMs, notBeforeMs, issuedMs }: Claims, nowMs: number): string | undefined {
  if (notBeforeMs !== undefined && nowMs + LEEWAY_MS < notBeforeMs) return 'service account token is not valid yet';
  if (expiresMs !== undefined && nowMs - LEEWAY_MS > expiresMs) return 'service account token has expired';
  if (issuedMs !== undefined && nowMs + LEEWAY_MS < issuedMs) return 'service account token is issued in the future';
  return undefined;
}

/** What must be there for the token to hold, in the order in which kube-apiserver looks. */
function tiesOf({ legacy, namespace, account, pod, secret, node }: Claims, lookup: boolean): Tie[] {
  const tie = (resource: BoundResource, { name, uid }: Ref): Tie => ({
    resource,
    namespace: resource === 'nodes' ? '' : namespace,
    name,
    uid,
    seen: undefined,
  });
  if (legacy) return lookup ? [tie('secrets', secret!), tie('serviceaccounts', account)] : [];
  return [
    tie('serviceaccounts', account),
    ...(secret === undefined ? [] : [tie('secrets', secret)]),
    ...(pod === undefined ? [] : [tie('pods', pod)]),
    // The node of a pod's token is where the pod runs, and tells no more than the pod does.
    ...(node === undefined || pod !== undefined ? [] : [tie('nodes', node)]),
  ];
}

const INVALIDATED = 'service account token has been invalidated';

function tieProblem(
  tie: Tie,
  object: BoundObject | 'absent',
  claims: Claims,
  token: string,
  nowMs: number,
): string | undefined {
  const { resource, namespace, name, uid } = tie;
  const isAccount = resource === 'serviceaccounts';
  if (object === 'absent') {
    if (isAccount) return name === '' ? 'resource name may not be empty' : `serviceaccounts ${quoteGo(name)} not found`;
    return claims.legacy ? 'Token has been invalidated' : INVALIDATED;
  }
  const { deletedMs } = object;
  // A token that lies in a Secret ends at once with it; those that expire by themselves are given a minute.
  if (deletedMs !== undefined && (claims.legacy || deletedMs < nowMs - LEEWAY_MS)) {
    if (isAccount) return `${accountWord(claims)} ${namespace}/${name} has been deleted`;
    return claims.legacy ? 'Token has been invalidated' : INVALIDATED;
  }
  if (claims.legacy && resource === 'secrets') return legacySecretProblem(tie, object, claims, token);
  if (object.uid === uid) return undefined;
  if (isAccount) return `${accountWord(claims)} UID (${object.uid}) does not match claim (${uid})`;
  const one = SINGULAR[resource];
  return `${one} UID (${object.uid}) does not match service account ${one} ref claim (${uid})`;
}

/** The older tokens have messages of their own. */
function accountWord({ legacy }: Claims): string {
  return legacy ? 'ServiceAccount' : 'service account';
}

const SINGULAR: Readonly<Record<Exclude<BoundResource, 'serviceaccounts'>, string>> = {
  pods: 'pod',
  secrets: 'secret',
  nodes: 'node',
};

function legacySecretProblem(tie: Tie, object: BoundObject, claims: Claims, token: string): string | undefined {
  if (object !== tie.seen) {
    const held = Buffer.from(object.token);
    const shown = Buffer.from(token);
    if (held.length !== shown.length || !timingSafeEqual(held, shown)) return "Token does not match server's copy";
  }
  if (object.invalidSince === '') return undefined;
  const { namespace, account } = claims;
  return (
    `the token in secret ${namespace}/${tie.name} for service account ${namespace}/${account.name} ` +
    `has been marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, ` +
    `or remove the 'kubernetes.io/legacy-token-invalid-since' label from the secret to temporarily allow use of this token`
  );
}

function identityOf({ namespace, account, pod, node, id }: Claims): Identity {
  const extra: Record<string, string[]> = {};
  if (pod !== undefined) {
    extra[`${EXTRA}pod-name`] = [pod.name];
    extra[`${EXTRA}pod-uid`] = [pod.uid];
  }
  if (id !== '') extra[`${EXTRA}credential-id`] = [`JTI=${id}`];
  if (node !== undefined && node.name !== '') {
    extra[`${EXTRA}node-name`] = [node.name];
    // A node that the token's issuer did not know has no uid.
    if (node.uid !== '') extra[`${EXTRA}node-uid`] = [node.uid];
  }
  return authenticated({
    name: userName(namespace, account.name),
    uid: account.uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`],
    extra,
  });
}

function userName(namespace: string, name: string): string {
  return `system:serviceaccount:${namespace}:${name}`;
}

function audiencesOf(claim: unknown): string[] {
  if (typeof claim === 'string') return [claim];
  return Array.isArray(claim) ? claim.filter((item): item is string => typeof item === 'string') : [];
}

function quoteAll(texts: readonly string[]): string {
  return `[${texts.map(quoteGo).join(' ')}]`;
}

function refOf(value: unknown): Ref | undefined {
  return isObject(value) ? { name: textMember(value, 'name'), uid: textMember(value, 'uid') } : undefined;
}
