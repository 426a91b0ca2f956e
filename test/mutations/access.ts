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
    'src/http/access.ts',
    ['auth/reviews'],
    [
      [
        'each part of an impersonation must be allowed',
        'if (!decision.allowed) return refusal(authorizer!, check, decision.reason);',
        '',
      ],
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
