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
