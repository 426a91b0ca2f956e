import { type Mutation, of } from './mutation.js';

/** Who asks, and what they may do. */
export const accessMutations: readonly Mutation[] = [
  ...of(
    'src/auth/peer-certificate.ts',
    ['auth/authentication'],
    [
      ['a certificate that TLS has not verified', 'if (!verified || nowMs', 'if (nowMs'],
      [
        'the chain of a certificate is proven by signatures',
        '|| !next.ca || !isSignedBy(last, next)) break;',
        ') break;',
      ],
      ['a certificate ends while its connection lasts', '|| nowMs > untilMs) return false;', ') return false;'],
    ],
  ),
  ...of(
    'src/auth/authenticator.ts',
    ['auth/authentication'],
    [
      ['a wrong certificate is worse than none', '} else refused = true;', '}'],
      ['a proxy has one of the allowed names', ' || allowedNames.includes(commonName)', ' || true'],
    ],
  ),
  ...of(
    'src/auth/jwt.ts',
    ['auth/service-account-tokens'],
    [['an algorithm belongs to a kind of key', 'return own === algorithm ?', 'return algorithm !== undefined ?']],
  ),
  ...of(
    'src/auth/service-account-tokens.ts',
    ['auth/service-account-tokens'],
    [
      [
        'a token that is known expires all the same',
        'const late = claims.legacy ?',
        'const late = this.#verified.has(key) ?',
      ],
      [
        'what was made anew is not what a token is bound to',
        'if (object.uid === uid) return undefined;',
        'if (object.uid !== uid) return undefined;',
      ],
      ['a token is meant for somebody', 'if (audiences.length > 0 && !meant', 'if (audiences.length > 9 && !meant'],
      ['deleted objects vouch for a minute', 'claims.legacy || deletedMs < nowMs - LEEWAY_MS', 'claims.legacy'],
    ],
  ),
  ...of(
    'src/auth/node-graph.ts',
    ['auth/node-graph'],
    [
      [
        'references are counted',
        'if (count > 1) nodes.set(pod.node, count - 1);',
        'if (count > 9) nodes.set(pod.node, count - 1);',
      ],
      [
        'a volume belongs to who has its claim',
        'return volume !== undefined && this',
        'return volume !== undefined || this',
      ],
    ],
  ),
  ...of(
    'src/auth/rbac.ts',
    ['auth/rbac'],
    [
      [
        'what was decided before a change is forgotten',
        'if (known?.generation !== this.#generation) {',
        'if (known === undefined) {',
      ],
      ['a permission for names is none for a collection', 'if (rule.resourceNames.length === 0) return', 'return'],
      [
        'a Role is looked for in its namespace',
        "roleKey(kind === 'Role' ? namespace : '', name)",
        'roleKey(namespace, name)',
      ],
      ['a service account without a namespace', "return of === '' ? undefined : `u:system", 'return `u:system'],
    ],
  ),
  ...of(
    'src/auth/rbac.ts',
    ['auth/rbac'],
    [['a verdict about a path is none about a resource', 'attributes.verb.length} ', 'attributes.verb.length},0,7,0 ']],
  ),
  ...of(
    'src/auth/headers.ts',
    ['auth/authentication'],
    [
      [
        'an extra may be called __proto__',
        'return Object.fromEntries(found);',
        'return Object.assign({}, Object.fromEntries(found));',
      ],
    ],
  ),
  ...of(
    'src/auth/authorizer.ts',
    ['auth/webhook-authorizer'],
    [
      ['who denies ends it', 'return allowed || denied === true;', 'return allowed;'],
      ['an error is passed on', '...(errors.length === 0 ? {} :', '...(errors.length >= 0 ? {} :'],
    ],
  ),
  ...of(
    'src/auth/webhook-tokens.ts',
    ['auth/webhook-tokens'],
    [
      ['a token is for one of our audiences', '&& !meant.some(', '&& meant.length === 0 && meant.some('],
      ['an answer has its time', 'this.#options.clock.monotonicMs() < answer.untilMs', 'answer.untilMs > 0'],
      ['what nobody waited for is not kept', 'if (signal.aborted) return undefined; // nobody waits', ''],
      ['no token is told', 'failed(withoutToken(error.message, token));', 'failed(error.message);'],
      ['a user has a name', "if (name === '') throw new", "if (name === 'x') throw new"],
      ['that there was no answer is kept for less', 'keptMs = errorTtlMs;', ''],
    ],
  ),
  ...of(
    'src/auth/webhook-authorizer.ts',
    ['auth/webhook-authorizer'],
    [
      [
        'a no is kept for less than a yes',
        '? authorizedTtlMs : unauthorizedTtlMs',
        '? authorizedTtlMs : authorizedTtlMs',
      ],
      ['giant questions are not kept', 'const isKept = controlledLength(attributes) < KEPT', 'const isKept = 0 < KEPT'],
      [
        'denied is denied, though it be allowed too',
        'return { allowed: false, denied: true, reason,',
        'return { allowed, denied: true, reason,',
      ],
      ['who asks is part of the question', "...(user.uid === '' ? {} : { uid: user.uid }),", ''],
    ],
  ),
  ...of(
    'src/auth/shared-calls.ts',
    ['auth/webhook-tokens', 'auth/webhook-authorizer'],
    [
      [
        'equal questions are one',
        'const call = this.#open.get(key) ?? this.#start(key, start);',
        'const call = this.#start(key, start);',
      ],
      ['the last who leaves ends it', 'call.abort.abort();', ''],
      ['others go on waiting', 'if (--call.waiting === 0) {', 'if (--call.waiting >= 0) {'],
    ],
  ),
  ...of(
    'src/auth/review-client.ts',
    ['auth/review-client'],
    [
      ['a 503 is asked again only when it says so', '(code !== 503 || retryAfterMs > 0)', 'true'],
      ['five tries', 'const TRIES = 5;', 'const TRIES = 6;'],
      [
        'a closed connection is replaced at once',
        'if (!posted.ok && posted.isStale) posted =',
        'if (!posted.ok && tries === 0) posted =',
      ],
      [
        'an answer is of the kind that was asked',
        'if (isKind !== kind || isVersion !== apiVersion)',
        'if (isKind !== kind)',
      ],
      ['an answer is bounded', '> limits.reviewAnswerBytesMax) fail', '> 2 ** 40) fail'],
    ],
  ),
  ...of(
    'src/http/access.ts',
    ['auth/delegated-access'],
    [
      ['a watch that a webhook has allowed is let go on', '&& decision.remote !== true) watches', ') watches'],
      ['RBAC is asked first about open watches', '(now.allowed || local === authorizer)', '(local === authorizer)'],
      ['no answer is an error', 'return error === undefined ? forbidden', "return error !== 'x' ? forbidden"],
    ],
  ),
  ...of(
    'src/http/answering.ts',
    ['auth/delegated-access'],
    [
      ['only so many wait', 'if (!this.#waiting.enter()) {', 'if (!this.#waiting.enter() && exchange.isLate) {'],
      [
        'who waits has a deadline',
        '    exchange.hasWaited = true;\n    exchange.deadline(',
        '    exchange.hasWaited = true;\n    void ((',
      ],
    ],
  ),
  ...of(
    'src/auth/impersonation-mode.ts',
    ['auth/impersonator'],
    [
      [
        'each group of an impersonation must be allowed',
        'const refused = await refusal(this.#authorizer, named(group), asker);',
        'const refused: Unallowed | undefined = undefined;',
      ],
      [
        'the request must be allowed to who acts as another',
        'if (refused !== undefined) return refused;\n    const found',
        'const found',
      ],
      ['nobody becomes a master', 'if (groups.includes(MASTERS))', 'if (user === undefined)'],
      ['what was allowed is forgotten', 'this.#clock.monotonicMs() < found.untilMs', 'found.untilMs > 0'],
      ['a pod acts as its own node', 'names[0] === node', 'names[0] !== undefined'],
    ],
  ),
  ...of(
    'src/http/access.ts',
    ['auth/authorization'],
    [
      ['a watch that is not allowed any more ends', 'else exchange.endWatch();', ''],
      ['a namespace lies in itself', "(group === '' && resource === 'namespaces' ? name : '')", "''"],
    ],
  ),
];
