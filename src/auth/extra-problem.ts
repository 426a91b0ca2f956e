import { quoteGo } from '../api/go-text.js';
import { subdomainProblems } from '../api/label-syntax.js';
import { aggregated } from './authorizer.js';
import type { Identity } from './identity.js';

const PATH = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";
const pathRegExp = new RegExp(`^${PATH}$`);

/** Why the rules of constrained impersonation take nobody with such an extra, in kube-apiserver's words; undefined: they may. */
export function extraProblem(extra: Identity['extra']): string | undefined {
  for (const [key, values] of Object.entries(extra)) {
    if (key === '') return notAllowed('the empty string key');
    const problems = pathProblems(key);
    if (problems.length > 0) return `${notAllowed('an invalid key')}: ${aggregated(problems)}`;
    if (key !== key.toLowerCase()) return `${notAllowed('a non-lowercase key')}: ${quoteGo(key)}`;
    if (values.includes('')) return notAllowed('the empty string value');
  }
  return undefined;
}

function notAllowed(what: string): string {
  return `impersonating ${what} in extra is not allowed`;
}

/** Of a path behind a domain, such as acme.io/foo. */
function pathProblems(key: string): string[] {
  const invalid = (value: string, why: string) => `extra.key: Invalid value: ${quoteGo(value)}: ${why}`;
  const slash = key.indexOf('/');
  if (slash <= 0 || slash === key.length - 1) {
    return [invalid(key, 'must be a domain-prefixed path (such as "acme.io/foo")')];
  }
  const [host, path] = [key.slice(0, slash), key.slice(slash + 1)];
  const problems = subdomainProblems(host, 'characters').map((why) => invalid(host, why));
  if (!pathRegExp.test(path)) {
    problems.push(invalid(path, `Invalid path (regex used for validation is '${PATH}')`));
  }
  return problems;
}
