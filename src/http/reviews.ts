import type { StatusCause } from '../api/status.js';
import type { Attributes } from '../auth/attributes.js';
import { alwaysAllow, type Authorizer } from '../auth/authorizer.js';
import type { Authenticator } from '../auth/authenticator.js';
import { AUTHENTICATED, type Identity, MASTERS } from '../auth/identity.js';
import type { Asker } from '../auth/shared-calls.js';
import { CodecError } from '../codec/codec.js';
import { encodingOf, openEnvelope } from '../codec/envelope.js';
import { messageToJson } from '../codec/kind-codec.js';
import type { Access } from './access.js';
import { type Exchange, type Outcome, STREAMED } from './exchange.js';
import { TOO_MANY_REQUESTS } from './in-flight.js';
import { negotiate, noTransforms } from './negotiate.js';
import type { ParsedPath, ResourcePath } from './paths.js';
import type { RequestBodies } from './request-body.js';
import type { PostedResource } from './posted.js';
import { documentAnswer, problemAnswer } from './respond.js';
import { localProblems, metadataProblems, specProblems } from './review-problems.js';
import { readSelectors, type ReviewSelectors } from './review-selectors.js';
import type { Problem } from './to-status.js';
import type { Clock } from '../lib/clock.js';
import { isObject, objectMember, textMember } from '../lib/is-object.js';
import type { Limits } from '../lib/limits.js';

/**
 * Objects that are posted to ask what somebody may do, or who one is, and are kept nowhere (spec 8.6): `kubectl auth can-i` and
 * `whoami`, and servers that let others decide for them.
 */
type Json = Readonly<Record<string, unknown>>;

export interface Review {
  readonly apiVersion: string;
  readonly kind: string;
  readonly message: string;
  /** It is asked within a namespace. */
  readonly isLocal: boolean;
  /** All but what kind of object it is; or what is wrong with the question. */
  answer(question: Question): Json | Problem | Promise<Json | Problem>;
}

interface Question {
  readonly user: Identity;
  /** Of the one who asks. */
  readonly own: Authorizer;
  /** Of everybody else. */
  readonly authorizer: Authorizer;
  /** undefined: nobody has to say who they are. */
  readonly authenticator: Authenticator | undefined;
  /** Of the path: '' when there is none. */
  readonly namespace: string;
  readonly metadata: Json;
  readonly spec: Json;
  readonly asker: Asker;
  readonly nowMs: number;
}

const AUTHORIZATION = 'authorization.k8s.io';
const AUTHENTICATION = 'authentication.k8s.io';

const reviews: ReadonlyMap<string, Review> = new Map([
  reviewed(AUTHORIZATION, 'authorization', 'SelfSubjectAccessReview', mayI),
  reviewed(AUTHORIZATION, 'authorization', 'SubjectAccessReview', mayThey),
  reviewed(AUTHORIZATION, 'authorization', 'LocalSubjectAccessReview', mayTheyThere),
  reviewed(AUTHORIZATION, 'authorization', 'SelfSubjectRulesReview', whatMayI),
  reviewed(AUTHENTICATION, 'authentication', 'SelfSubjectReview', whoAmI),
  reviewed(AUTHENTICATION, 'authentication', 'TokenReview', whoseIsIt),
]);

function reviewed(group: string, folder: string, kind: string, answer: Review['answer']): [string, Review] {
  const message = `k8s.io.api.${folder}.v1.${kind}`;
  const isLocal = kind.startsWith('Local');
  return [`${group}/v1/${kind.toLowerCase()}s`, { apiVersion: `${group}/v1`, kind, message, isLocal, answer }];
}

/** What discovery and OpenAPI say of them. */
export const reviewResources: readonly PostedResource[] = [...reviews].map(([place, review]) => {
  const [group = '', version = '', resource = ''] = place.split('/');
  const { kind, message, isLocal: namespaced } = review;
  return { group, version, kind, singular: kind.toLowerCase(), resource, namespaced, message };
});

/** Who asks where nobody has to say who they are: kube-apiserver's name for it. */
const UNSECURED: Identity = { name: 'system:unsecured', uid: '', groups: [MASTERS, AUTHENTICATED], extra: {} };

/** undefined: the request is none. */
export function reviewOf(method: string, path: ParsedPath): Review | undefined {
  return method === 'POST' && path.type === 'resource' ? reviewAt(path) : undefined;
}

export function isReview(path: ResourcePath): boolean {
  return reviewAt(path) !== undefined;
}

function reviewAt({ group, version, resource, namespace, name, watch, malformed }: ResourcePath): Review | undefined {
  if (name !== undefined || watch || malformed) return undefined;
  const review = reviews.get(`${group}/${version}/${resource}`);
  return review?.isLocal === (namespace !== undefined) ? review : undefined;
}

/** `access`: undefined where everything is allowed to everybody. */
export async function answerReview(
  exchange: Exchange,
  review: Review,
  access: Pick<Access, 'authenticator' | 'authorizer'> | undefined,
  bodies: RequestBodies,
  { requestBodyBytesMax }: Limits,
  clock: Clock,
): Promise<Outcome> {
  const { request } = exchange;
  const refuse = (problem: Problem) => problemAnswer(request, problem);
  const media = negotiate(request.headers.accept, noTransforms);
  if (media === undefined) return refuse({ kind: 'notAcceptable' });
  const type = (request.headers['content-type'] ?? 'application/json').split(';')[0]!.trim().toLowerCase();
  if (type !== 'application/json' && type !== PROTOBUF) return refuse({ kind: 'unsupportedMediaType' });
  const body = await bodies.read(request.body, exchange.signal);
  if (body === 'gone') return STREAMED;
  if (body === 'tooLarge') return refuse({ kind: 'bodyTooLarge', max: requestBodyBytesMax });
  if (body === 'tooMany') return TOO_MANY_REQUESTS;
  const { apiVersion } = review;
  const object = readObject(body, type, review);
  if (typeof object === 'string') return refuse({ kind: 'badRequest', message: object });
  const { path } = request;
  const namespace = (path.type === 'resource' ? path.namespace : undefined) ?? '';
  const metadata = metadataOf(object, namespace);
  if (metadata === undefined) return refuse({ kind: 'badRequest', message: OTHER_NAMESPACE });
  const authorizer = access?.authorizer;
  const answered = await review.answer({
    user: exchange.user ?? UNSECURED,
    own: exchange.user === undefined ? alwaysAllow : (authorizer ?? alwaysAllow),
    authorizer: authorizer ?? alwaysAllow,
    authenticator: access?.authenticator,
    namespace,
    metadata,
    spec: objectMember(object, 'spec'),
    asker: exchange,
    nowMs: clock.nowMs(),
  });
  if (exchange.isOver) return STREAMED;
  if (isProblem(answered)) return refuse(answered);
  const json = { kind: review.kind, apiVersion, ...answered };
  const answer = documentAnswer(request, media, { json, apiVersion, kind: review.kind, messageName: review.message });
  return { ...answer, code: 201 };
}

const PROTOBUF = 'application/vnd.kubernetes.protobuf';

/** The object that was posted, or what is wrong with it. */
function readObject(body: Buffer, type: string, review: Review): Json | string {
  let object: unknown;
  try {
    if (type === PROTOBUF) {
      if (encodingOf(body, 0, body.length) !== 'protobuf') return 'the body is not an object in protobuf form';
      const envelope = openEnvelope(body, 0, body.length);
      const text = messageToJson(review.message, body, envelope.rawStart, envelope.rawEnd);
      object = { ...(JSON.parse(text) as Json), kind: envelope.kind, apiVersion: envelope.apiVersion };
    } else if (isNestedTooDeeply(body)) return 'the body does not parse: exceeded max depth';
    else object = JSON.parse(body.toString('utf8'));
  } catch (error) {
    if (error instanceof CodecError || error instanceof SyntaxError) return `the body does not parse: ${error.message}`;
    throw error;
  }
  if (!isObject(object)) return 'the body is not an object';
  const { kind = review.kind, apiVersion = review.apiVersion } = object;
  if (kind !== review.kind || apiVersion !== review.apiVersion) {
    return `the body is not a ${review.kind} of ${review.apiVersion}`;
  }
  return object;
}

/** Far below what JSON.stringify, which calls itself for each level, can write back. Go takes 10,000 levels; nobody needs ten. */
const DEPTH_MAX = 1_000;

function isNestedTooDeeply(json: Buffer): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at]!;
    if (byte === 0x22) inString = !inString;
    else if (inString) at += byte === 0x5c ? 1 : 0;
    else if (byte === 0x7b || byte === 0x5b) depth++;
    else if (byte === 0x7d || byte === 0x5d) depth--;
    if (depth > DEPTH_MAX) return true;
  }
  return false;
}

const OTHER_NAMESPACE = 'the namespace of the provided object does not match the namespace sent on the request';

/** As any object that is created: without times, and in the namespace of the path. undefined: it says that it is in another one. */
function metadataOf(object: Json, namespace: string): Json | undefined {
  const { creationTimestamp: _unset, namespace: own = '', ...metadata } = objectMember(object, 'metadata');
  if (namespace === '') return metadata;
  return own === '' || own === namespace ? { ...metadata, namespace } : undefined;
}

const NO_SELECTORS: ReviewSelectors = { selected: {}, problems: [], causes: [] };

function mayI(question: Question): Promise<Json | Problem> {
  const { user, own, metadata, spec } = question;
  return decide(question, user, own, specProblems(spec, false), metadataProblems(metadata, false));
}

function mayThey(question: Question): Promise<Json | Problem> {
  const { authorizer, metadata, spec } = question;
  return decide(question, subjectOf(spec), authorizer, specProblems(spec, true), metadataProblems(metadata, false));
}

function mayTheyThere(question: Question): Promise<Json | Problem> {
  const { authorizer, namespace, metadata, spec } = question;
  const later = [...metadataProblems(metadata, true), ...localProblems(spec, namespace)];
  return decide(question, subjectOf(spec), authorizer, specProblems(spec, true), later);
}

/** Whom a review is about. */
function subjectOf(spec: Json): Identity {
  const extra = Object.entries(objectMember(spec, 'extra')).map(([key, values]) => [key, textsOf(values)] as const);
  return {
    name: textMember(spec, 'user'),
    uid: textMember(spec, 'uid'),
    groups: textsOf(spec['groups']),
    extra: Object.fromEntries(extra),
  };
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((text) => typeof text === 'string') : [];
}

/** What is wrong is said `before` what is wrong with selectors, and `after` it. */
async function decide(
  { metadata, spec, asker }: Question,
  user: Identity,
  authorizer: Authorizer,
  before: readonly StatusCause[],
  after: readonly StatusCause[],
): Promise<Json | Problem> {
  const resource = spec['resourceAttributes'];
  const selectors = isObject(resource) ? readSelectors(resource) : NO_SELECTORS;
  const causes = [...before, ...selectors.causes, ...after];
  // Upstream knows no kind here, and so names none.
  if (causes.length > 0) return { kind: 'invalid', of: { group: AUTHORIZATION, kind: '' }, causes };
  const path = objectMember(spec, 'nonResourceAttributes');
  const attributes: Attributes = isObject(resource)
    ? {
        user,
        verb: textMember(resource, 'verb'),
        group: textMember(resource, 'group'),
        version: textMember(resource, 'version') || '*',
        resource: textMember(resource, 'resource'),
        subresource: textMember(resource, 'subresource'),
        namespace: textMember(resource, 'namespace'),
        name: textMember(resource, 'name'),
        ...selectors.selected,
      }
    : { user, verb: textMember(path, 'verb'), path: textMember(path, 'path') };
  const { allowed, denied, reason, error } = await authorizer.authorize(attributes, asker);
  const problems = [...(error === undefined ? [] : [error]), ...selectors.problems];
  const status = {
    allowed,
    ...(denied === true ? { denied } : {}),
    ...(reason === '' ? {} : { reason }),
    ...(problems.length === 0 ? {} : { evaluationError: problems.join('; ') }),
  };
  return { metadata, spec, status };
}

function whatMayI({ user, own, spec }: Question): Json | Problem {
  const namespace = textMember(spec, 'namespace');
  if (namespace === '') return { kind: 'badRequest', message: 'no namespace on request' };
  const { resourceRules, nonResourceRules, error, incomplete = false } = own.rulesFor(user, namespace);
  return {
    metadata: {},
    spec: {},
    status: {
      resourceRules: resourceRules.map(withoutEmpty),
      nonResourceRules: nonResourceRules.map(withoutEmpty),
      incomplete,
      ...(error === '' ? {} : { evaluationError: error }),
    },
  };
}

/** A TokenReview. What could not be found out now is part of the answer, unless it is a Failure. */
async function whoseIsIt({ authenticator, metadata, spec: posted, asker }: Question): Promise<Json | Problem> {
  const token = textMember(posted, 'token');
  const wanted = textsOf(posted['audiences']);
  const spec = { token, ...(wanted.length === 0 ? {} : { audiences: wanted }) };
  if (token === '') return { kind: 'badRequest', message: 'token is required for TokenReview in authentication' };
  if (authenticator === undefined) return { metadata, spec, status: { user: {} } };
  const found = await authenticator.review(token, wanted, asker);
  if ('kind' in found) return found;
  if (found.identity === undefined) {
    const { problem } = found;
    return { metadata, spec, status: { user: {}, ...(problem === '' ? {} : { error: problem }) } };
  }
  const { identity, audiences } = found;
  const meant = audiences.length === 0 ? {} : { audiences };
  return { metadata, spec, status: { authenticated: true, user: userInfoOf(identity), ...meant } };
}

function userInfoOf({ name, uid, groups, extra }: Identity): Json {
  return {
    ...(name === '' ? {} : { username: name }),
    ...(uid === '' ? {} : { uid }),
    ...(groups.length === 0 ? {} : { groups }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
}

function whoAmI({ user, nowMs }: Question): Json {
  const userInfo = userInfoOf(user);
  const creationTimestamp = `${new Date(nowMs).toISOString().slice(0, 19)}Z`;
  return { metadata: { creationTimestamp }, status: { userInfo } };
}

/** Verbs are always there. */
function withoutEmpty(rule: object): Json {
  return Object.fromEntries(Object.entries(rule).filter(([key, list]) => key === 'verbs' || list.length > 0));
}

function isProblem(answer: Json | Problem): answer is Problem {
  return 'kind' in answer;
}
