import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type FieldRequirement, isExact } from '../api/field-selector.js';
import { type ListSyntax, parseListOptions } from '../api/list-options.js';
import { type Attributes, forbiddenText } from '../auth/attributes.js';
import type { Authenticator, Known } from '../auth/authenticator.js';
import type { Authorizer, Decision } from '../auth/authorizer.js';
import { anonymous, type Identity, UNAUTHENTICATED } from '../auth/identity.js';
import { hasSpaceForToken } from '../auth/headers.js';
import type { Impersonator } from '../auth/impersonator.js';
import type { IssuerDocuments } from '../auth/issuer-documents.js';
import { impersonates, readWantedUser } from '../auth/wanted-user.js';
import { type Answer, type Exchange, type ExchangeRequest, internalServerError } from './exchange.js';
import { isSet } from './query.js';
import type { ResourcePath } from './paths.js';
import type { Problem } from './to-status.js';

/** What decides over requests of the HTTPS listener. The plain one, which binds to loopback only, has no such thing. */
export interface Access {
  readonly authenticator: Authenticator;
  /** undefined: whoever is known may do everything. */
  readonly authorizer: Authorizer | undefined;
  readonly impersonator: Impersonator;
  /** Absent: nothing is said about who issues tokens of service accounts. */
  readonly issuer?: IssuerDocuments | undefined;
  /** Some of what is answered is answered to anybody: then requests must mean this machine (gate.ts). */
  readonly open: boolean;
  /** Those that were admitted and are not over, to be looked at again when permissions change. */
  readonly watches: OpenWatches;
}

export function isGuarded(socket: Socket): boolean {
  return (socket as TLSSocket).encrypted === true;
}

/** Whether the Host and Origin of a request do not matter: nobody is answered there who has not said who it is. */
export function answersAnyHost(access: Access | undefined, isSecure: boolean): boolean {
  return access?.open === false && isSecure;
}

/** Why the request does not go on; undefined: it does. */
export type Admission = Problem | Answer | undefined;

/**
 * Finds out who asks, and as whom they act: the first of two steps, between which kube-apiserver counts requests. Neither makes a promise
 * where nothing has to be waited for, and a request whose connection is gone is refused.
 */
export function identify(exchange: Exchange, access: Access, syntax: ListSyntax): Admission | Promise<Admission> {
  const { isSecure, headers, rawHeaders, connection: socket } = exchange.request;
  if (!isSecure) return undefined;
  const known =
    socket === undefined ? undefined : access.authenticator.authenticate({ headers, rawHeaders, socket }, exchange);
  if (known instanceof Promise) return known.then((later) => actAsKnown(exchange, access, syntax, later));
  return actAsKnown(exchange, access, syntax, known);
}

function actAsKnown(
  exchange: Exchange,
  access: Access,
  syntax: ListSyntax,
  known: Known,
): Admission | Promise<Admission> {
  const { request } = exchange;
  // HTTP/2 is easily abused (CVE-2023-44487): as in kube-apiserver, who is not known gets a connection for one request.
  if (request.isHttp2 && isUnknown(known)) exchange.headers['connection'] = 'close';
  if ((known === undefined || known === anonymous) && hasSpaceForToken(request.headers.authorization)) {
    exchange.headers['warning'] = TOKEN_IGNORED;
  }
  if (known === undefined) return { kind: 'unauthorized' };
  if ('kind' in known) return known;
  if (impersonates(request.headers)) return actAs(exchange, known, access, syntax);
  exchange.user = known;
  return undefined;
}

const TOKEN_IGNORED =
  '299 - "the provided Authorization header contains extra space before the bearer token, and is ignored"';

/** Whether the one who asks may: the second step. */
export function permit(exchange: Exchange, access: Access, syntax: ListSyntax): Admission | Promise<Admission> {
  const { authorizer, watches } = access;
  const { user, request } = exchange;
  // Whoever answers a forwarded request knows its user by our word, and decides.
  if (authorizer === undefined || user === undefined || exchange.isForwarded) return undefined;
  const attributes = attributesOf(request, user, syntax);
  const judge = (decision: Decision): Admission => {
    if (!decision.allowed) return refusal(authorizer, attributes, decision, request.target);
    // Nobody tells us when somebody else changes his mind about it, and kube-apiserver does not ask again either.
    if (attributes.verb === 'watch' && decision.remote !== true) watches.add(exchange, attributes);
    return undefined;
  };
  const decision = authorizer.authorize(attributes, exchange);
  return decision instanceof Promise ? decision.then(judge) : judge(decision);
}

/** A Failure says nothing about who it is. */
function isUnknown(known: Known): boolean {
  if (known === undefined) return true;
  return 'groups' in known && (known.name === anonymous.name || known.groups.includes(UNAUTHENTICATED));
}

/** The request goes on as somebody else, or this is why it does not. */
async function actAs(exchange: Exchange, user: Identity, access: Access, syntax: ListSyntax): Promise<Admission> {
  const { request } = exchange;
  const wanted = readWantedUser(request.rawHeaders);
  if (wanted === undefined) {
    exchange.user = user;
    return undefined;
  }
  if (typeof wanted === 'string') {
    // As upstream says it with all that has to do with who acts as whom.
    exchange.headers['x-content-type-options'] = 'nosniff';
    return { kind: 'badRequest', message: wanted };
  }
  const found = await access.impersonator.impersonate(wanted, attributesOf(request, user, syntax), exchange);
  if ('reason' in found) {
    const { attributes, reason } = found;
    return refusal(access.authorizer, attributes, { allowed: false, reason }, '');
  }
  exchange.user = found;
  return undefined;
}

/** Who might be allowed, once all is known, is told to come again. */
function refusal(
  authorizer: Authorizer | undefined,
  attributes: Attributes,
  { reason, error }: Decision,
  target: string,
): Problem | Answer {
  if (authorizer?.ready === false) return { kind: 'initializing', lastError: undefined, retryAfterSeconds: 1 };
  return error === undefined ? forbidden(attributes, reason) : internalServerError(target, error);
}

export function forbidden(attributes: Attributes, reason: string): Problem {
  const { group, resource, name } = attributes.path === undefined ? attributes : { group: '', resource: '', name: '' };
  const text = forbiddenText(attributes);
  return { kind: 'forbidden', group, resource, name, message: reason === '' ? text : `${text}: ${reason}` };
}

/** Watches that were allowed when they began. They end when they would not be any more: clients ask again, and are told. */
export class OpenWatches {
  readonly #open = new Map<Exchange, Attributes>();

  add(exchange: Exchange, attributes: Attributes): void {
    this.#open.set(exchange, attributes);
    exchange.sink.onClose(() => this.#open.delete(exchange));
  }

  /**
   * Ends those that are not allowed now; one that has not begun yet is cut. `local`: those of us who decide at once; whoever else there
   * is, is asked only about what they do not allow. `concerns`: absent: all are looked at.
   */
  check(authorizer: Authorizer, local = authorizer, concerns?: (attributes: Attributes) => boolean): void {
    for (const [exchange, attributes] of this.#open) {
      if (concerns?.(attributes) === false) continue;
      const judge = ({ allowed, remote }: Decision) => {
        if (allowed && remote === true) this.#open.delete(exchange);
        if (allowed || !this.#open.has(exchange)) return;
        if (exchange.endWatch === undefined) exchange.cut();
        else exchange.endWatch();
      };
      const now = local.authorize(attributes);
      if (!(now instanceof Promise) && (now.allowed || local === authorizer)) {
        judge(now);
        continue;
      }
      const decision = authorizer.authorize(attributes, exchange);
      if (decision instanceof Promise) void decision.then(judge, () => exchange.cut());
      else judge(decision);
    }
  }

  get size(): number {
    return this.#open.size;
  }
}

/** What a request wants, in the words of authorization (spec 8.2). */
export function attributesOf(request: ExchangeRequest, user: Identity, syntax: ListSyntax): Attributes {
  const { method, path } = request;
  if (path.type !== 'resource') {
    return { user, verb: method.toLowerCase(), path: path.type === 'other' ? path.path : '' };
  }
  const { group, version, resource, subresource = '' } = path;
  const name = path.name ?? '';
  const verb = verbOf(request, path);
  const selects = name === '' && !path.watch && SELECTING.has(method);
  const fields = selects ? selectedFields(request, syntax) : NONE_SELECTED;
  const labelSelector = selects ? request.query.get('labelSelector') : undefined;
  return {
    user,
    verb,
    group,
    version,
    resource,
    subresource,
    // A namespace lies in itself.
    namespace: path.namespace ?? (group === '' && resource === 'namespaces' ? name : ''),
    name: fields.length === 0 ? name : selectedName(fields),
    fields,
    ...(labelSelector === undefined ? {} : { labelSelector }),
  };
}

/** Methods of which a collection may be selected from. */
const SELECTING = new Set(['GET', 'HEAD', 'DELETE']);

function verbOf({ method, query }: ExchangeRequest, path: ResourcePath): string {
  if (path.watch) return 'watch';
  const collection = path.name === undefined || path.name === '';
  switch (method) {
    case 'GET':
    case 'HEAD':
      return !collection ? 'get' : isSet(query.get('watch')) ? 'watch' : 'list';
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return collection ? 'deletecollection' : 'delete';
    default:
      return '';
  }
}

const NONE_SELECTED: readonly FieldRequirement[] = [];

/** Read by the very grammar that the LIST is read by; of a selector that does not parse nothing counts. */
function selectedFields({ query }: ExchangeRequest, syntax: ListSyntax): readonly FieldRequirement[] {
  if (!query.has('fieldSelector')) return NONE_SELECTED;
  const options = parseListOptions(query, syntax);
  return options.ok ? options.value.fieldSelector : NONE_SELECTED;
}

/** A collection of one name is asked for like that object. */
function selectedName(fields: readonly FieldRequirement[]): string {
  const name = fields.find((term) => term.field === 'metadata.name' && isExact(term))?.value ?? '';
  return name === '.' || name === '..' || /[/%]/.test(name) ? '' : name;
}
