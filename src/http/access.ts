import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { isExact } from '../api/field-selector.js';
import { type ListSyntax, parseListOptions } from '../api/list-options.js';
import { type Attributes, forbiddenText } from '../auth/attributes.js';
import type { Authenticator } from '../auth/authenticator.js';
import type { Authorizer } from '../auth/authorizer.js';
import { anonymous, type Identities, type Identity, UNAUTHENTICATED } from '../auth/identity.js';
import { impersonates, readImpersonation } from '../auth/impersonation.js';
import type { Exchange, ExchangeRequest } from './exchange.js';
import { isSet } from './query.js';
import type { ResourcePath } from './paths.js';
import type { Problem } from './to-status.js';

/** What decides over requests of the HTTPS listener. The plain one, which binds to loopback only, has no such thing. */
export interface Access {
  readonly authenticator: Authenticator;
  /** Of those that somebody else acts as. */
  readonly identities: Identities;
  /** undefined: whoever is known may do everything. */
  readonly authorizer: Authorizer | undefined;
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

/** Finds out who asks, and whether they may. A problem: the request is refused with it, and so is one whose connection is gone. */
export function admit(exchange: Exchange, access: Access, syntax: ListSyntax): Problem | undefined {
  const { authorizer, watches } = access;
  const { request } = exchange;
  const { isSecure, headers, rawHeaders } = request;
  if (!isSecure) return undefined;
  let user = authenticate(exchange, access);
  if (user === undefined) return { kind: 'unauthorized' };
  if (impersonates(headers)) {
    const acting = actAs(user, rawHeaders, access);
    if ('kind' in acting) return acting;
    user = acting;
  }
  exchange.user = user;
  if (authorizer === undefined) return undefined;
  const attributes = attributesOf(request, user, syntax);
  const decision = authorizer.authorize(attributes);
  if (decision.allowed) {
    if (attributes.verb === 'watch') watches.add(exchange, attributes);
    return undefined;
  }
  return refusal(authorizer, attributes, decision.reason);
}

function authenticate({ request, headers: ofResponse }: Exchange, { authenticator }: Access): Identity | undefined {
  const { headers, rawHeaders, connection: socket } = request;
  const user = socket === undefined ? undefined : authenticator.authenticate({ headers, rawHeaders, socket });
  // HTTP/2 is easily abused (CVE-2023-44487): as in kube-apiserver, who is not known gets a connection for one request.
  if (request.isHttp2 && (user === undefined || isUnknown(user))) ofResponse['connection'] = 'close';
  return user;
}

function isUnknown({ name, groups }: Identity): boolean {
  return name === anonymous.name || groups.includes(UNAUTHENTICATED);
}

/** The user as whom the request goes on, or why it does not. */
function actAs(user: Identity, rawHeaders: readonly string[], { authorizer, identities }: Access): Identity | Problem {
  const asked = readImpersonation(user, rawHeaders);
  if (asked === 'nameless') {
    return { kind: 'badRequest', message: 'requested groups, uid or extra without impersonating a user name' };
  }
  for (const check of authorizer === undefined ? [] : asked.checks) {
    const decision = authorizer!.authorize(check);
    if (!decision.allowed) return refusal(authorizer!, check, decision.reason);
  }
  return identities.intern(asked.identity);
}

/** Who might be allowed, once all is known, is told to come again. */
function refusal(authorizer: Authorizer, attributes: Attributes, reason: string): Problem {
  if (!authorizer.ready) return { kind: 'initializing', lastError: undefined, retryAfterSeconds: 1 };
  return forbidden(attributes, reason);
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

  /** Ends those that are not allowed now; one that has not begun yet is cut. */
  check(authorizer: Authorizer): void {
    for (const [exchange, attributes] of this.#open) {
      if (authorizer.authorize(attributes).allowed) continue;
      if (exchange.endWatch === undefined) exchange.cut();
      else exchange.endWatch();
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
  return {
    user,
    verb,
    group,
    version,
    resource,
    subresource,
    // A namespace lies in itself.
    namespace: path.namespace ?? (group === '' && resource === 'namespaces' ? name : ''),
    name: name === '' && method === 'GET' && !path.watch ? selectedName(request, syntax) : name,
  };
}

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

/** A collection of one name is asked for like that object. Read by the very grammar that the LIST is read by. */
function selectedName({ query }: ExchangeRequest, syntax: ListSyntax): string {
  if (!query.has('fieldSelector')) return '';
  const options = parseListOptions(query, syntax);
  if (!options.ok) return '';
  const name = options.value.fieldSelector.find((term) => term.field === 'metadata.name' && isExact(term))?.value ?? '';
  return name === '.' || name === '..' || /[/%]/.test(name) ? '' : name;
}
