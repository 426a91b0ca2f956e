import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../lib/clock.js';
import type { Failure } from '../serve/failure.js';
import { aggregated } from './authorizer.js';
import { bearerToken, headerValues, prefixedHeaders } from './headers.js';
import { anonymous, authenticated, type Identities, type Identity } from './identity.js';
import type { Asker } from './shared-calls.js';
import { type Authorities, type PeerCertificate, peerCertificate } from './peer-certificate.js';

/** What a request says about who sends it. */
export interface Credentials {
  readonly headers: { readonly authorization?: string | undefined };
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
  /** Of TLS. */
  readonly socket: Socket;
}

/** `--requestheader-*`: a proxy that has authenticated the user, and says so in headers. */
export interface FrontProxy {
  readonly authorities: Authorities;
  /** Common names that a proxy may have; none: any. */
  readonly allowedNames: readonly string[];
  /** Lower case; the first that is there counts. */
  readonly usernameHeaders: readonly string[];
  readonly groupHeaders: readonly string[];
  readonly uidHeaders: readonly string[];
  readonly extraPrefixes: readonly string[];
}

/** Who it is; undefined: nobody knows; a Failure: it cannot be found out now. */
export type Known = Identity | Failure | undefined;

/** Whose a token is, and for whom it is meant of those that were named; or why nobody is known by it. */
export type ReviewedToken =
  | { readonly identity: Identity; readonly audiences: readonly string[] }
  | { readonly identity?: undefined; readonly problem: string };

/** One way to know the owner of a bearer token: at once, where nothing has to be waited for. */
export interface TokenAuthenticator {
  find(token: string, asker: Asker): Known | Promise<Known>;
  /**
   * The same for a TokenReview, as kube-apiserver answers it; `problem`: '' when there is nothing to say. `audiences`: one of them must be among a
   * token's; none: any will do. Absent: its tokens know nothing of audiences, and are meant for the API.
   */
  review?(token: string, audiences: readonly string[], asker: Asker): Promise<ReviewedToken | Failure>;
}

export interface AuthenticatorOptions {
  readonly frontProxy: FrontProxy | undefined;
  readonly clientAuthorities: Authorities | undefined;
  readonly tokens: readonly TokenAuthenticator[];
  /** Whether somebody without credentials is let in as `system:anonymous`. */
  readonly anonymous: boolean;
  /** `--api-audiences`. */
  readonly audiences?: readonly string[];
  /** Of those whom proxies name. */
  readonly identities: Identities;
  readonly clock: Clock;
}

const INVALID_TOKEN = 'invalid bearer token';

/**
 * Who sends a request (spec 8.1). The first that knows the sender wins:
 *
 *     front proxy's headers -> client certificate -> bearer token -> anonymous
 *
 * Wrong credentials are never as good as none: whoever shows a certificate or token that nobody knows is refused, even where
 * anonymous requests are answered.
 */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  /** By connection: a chain is walked once. */
  readonly #certificates = new WeakMap<Socket, PeerCertificate | 'none'>();
  readonly #users = new WeakMap<PeerCertificate, Identity>();

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** undefined: 401. At once, where nothing has to be waited for. */
  authenticate(credentials: Credentials, asker: Asker): Known | Promise<Known> {
    const { frontProxy, clientAuthorities, tokens, clock } = this.#options;
    let refused = false;
    if (frontProxy !== undefined || clientAuthorities !== undefined) {
      const certificate = this.#certificateOf(credentials.socket);
      if (certificate !== undefined) {
        const nowMs = clock.nowMs();
        if (frontProxy !== undefined) {
          if (frontProxy.authorities.vouchFor(certificate, nowMs) && isAllowed(frontProxy, certificate)) {
            const user = proxiedUser(frontProxy, credentials.rawHeaders);
            if (user !== undefined) return this.#options.identities.intern(user);
          } else refused = true;
        }
        if (clientAuthorities !== undefined) {
          const isKnown = clientAuthorities.vouchFor(certificate, nowMs);
          if (isKnown && certificate.commonName !== '' && certificate.uid !== undefined) {
            return this.#userOf(certificate, certificate.uid);
          }
          if (!isKnown || certificate.commonName !== '') refused = true;
        }
      }
    }
    if (tokens.length > 0) {
      const token = bearerToken(credentials.headers.authorization);
      if (token !== undefined) return this.#ownerOf(token, asker, 0, undefined);
    }
    return !refused && this.#options.anonymous ? anonymous : undefined;
  }

  /** What a TokenReview finds out. `audiences`: none: those of the API. */
  async review(text: string, audiences: readonly string[], asker: Asker): Promise<ReviewedToken | Failure> {
    const { tokens, audiences: own = [], anonymous: isOpen } = this.#options;
    const wanted = audiences.length === 0 ? own : audiences;
    const token = bearerToken(`Bearer ${text}`);
    if (isOpen && (token === undefined || tokens.length === 0)) return { identity: anonymous, audiences: wanted };
    if (token === undefined) return { problem: '' };
    // kube-apiserver's own clients are known by a token, which this is not: that comes first.
    const problems = [INVALID_TOKEN];
    for (const one of tokens) {
      const found = await (one.review?.(token, wanted, asker) ?? reviewAgnostic(one, token, wanted, own, asker));
      if ('kind' in found || found.identity !== undefined) return found;
      if (found.problem !== '') problems.push(found.problem);
    }
    return { problem: aggregated(problems) };
  }

  /** The first that knows, from the authenticator at `index` on. `failed`: what kept one of those before from finding out. */
  #ownerOf(token: string, asker: Asker, index: number, failed: Failure | undefined): Known | Promise<Known> {
    const { tokens } = this.#options;
    let failure = failed;
    for (let at = index; at < tokens.length; at++) {
      const found = tokens[at]!.find(token, asker);
      if (found instanceof Promise) {
        return found.then((known) => {
          if (isIdentity(known)) return known;
          return this.#ownerOf(token, asker, at + 1, failure ?? known);
        });
      }
      if (isIdentity(found)) return found;
      failure ??= found;
    }
    return failure;
  }

  #certificateOf(socket: Socket): PeerCertificate | undefined {
    let known = this.#certificates.get(socket);
    if (known === undefined) {
      known = peerCertificate(socket as TLSSocket) ?? 'none';
      this.#certificates.set(socket, known);
    }
    return known === 'none' ? undefined : known;
  }

  #userOf(certificate: PeerCertificate, uid: string): Identity {
    let user = this.#users.get(certificate);
    if (user === undefined) {
      user = authenticated({
        name: certificate.commonName,
        uid,
        groups: certificate.organizations,
        extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${certificate.sha256}`] },
      });
      this.#users.set(certificate, user);
    }
    return user;
  }
}

/** Of tokens that know nothing of audiences. */
async function reviewAgnostic(
  authenticator: TokenAuthenticator,
  token: string,
  wanted: readonly string[],
  own: readonly string[],
  asker: Asker,
): Promise<ReviewedToken | Failure> {
  const audiences = wanted.filter((one) => own.includes(one));
  if (wanted.length > 0 && audiences.length === 0) return { problem: '' };
  const known = await authenticator.find(token, asker);
  if (known === undefined) return { problem: '' };
  return 'kind' in known ? known : { identity: known, audiences };
}

function isIdentity(known: Known): known is Identity {
  return known !== undefined && 'groups' in known;
}

function isAllowed({ allowedNames }: FrontProxy, { commonName }: PeerCertificate): boolean {
  return allowedNames.length === 0 || allowedNames.includes(commonName);
}

/** undefined: the proxy names nobody. */
function proxiedUser(proxy: FrontProxy, raw: readonly string[]): Identity | undefined {
  const first = (names: readonly string[]) =>
    names.map((name) => headerValues(raw, name)[0] ?? '').find((value) => value !== '') ?? '';
  const name = first(proxy.usernameHeaders);
  if (name === '') return undefined;
  return authenticated({
    name,
    uid: first(proxy.uidHeaders),
    groups: proxy.groupHeaders.flatMap((header) => headerValues(raw, header)).filter((group) => group !== ''),
    extra: prefixedHeaders(raw, proxy.extraPrefixes),
  });
}
