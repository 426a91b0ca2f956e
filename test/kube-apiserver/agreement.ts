import { ADMIN, type ControlPlane } from '../support/control-plane.js';
import type { Answer } from '../support/http-client.js';

/** Headers that a client of Kubernetes may act on. */
const COMPARED = [
  ...['content-type', 'content-encoding', 'cache-control', 'vary', 'retry-after', 'warning'],
  ...['x-content-type-options', 'location'],
];
/** Ages and resource versions of LISTs go on between two answers: what differs by these is alike when asked again. */
const ATTEMPTS_MAX = 5;

export const JSON_TYPE = 'application/json';
export const PROTOBUF_TYPE = 'application/vnd.kubernetes.protobuf';
export const as = (type: string, form: string) => `${type};as=${form};v=v1;g=meta.k8s.io`;

/** Where the answers to one question of the admin differ, or undefined; asked again while they differ. */
export async function disagreement(
  world: Pick<ControlPlane, 'ask'>,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  let found: string | undefined;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const [theirs, ours] = await world.ask(path, { ...ADMIN, ...headers });
    found = theirs.status === 200 ? differenceOf(theirs, ours) : `kube-apiserver answered ${theirs.status}`;
    if (found === undefined) return undefined;
  }
  return `GET ${path} (${headers['accept'] ?? ''}): ${found}`;
}

function differenceOf(theirs: Answer, ours: Answer): string | undefined {
  if (ours.status !== 200) return `got ${ours.status} ${excerpt(ours.body, 0)}`;
  for (const name of COMPARED) {
    const [want, got] = [String(theirs.headers[name]), String(ours.headers[name])];
    if (want !== got) return `${theirs.status} ${name}: want ${want}, got ${got}`;
  }
  if (theirs.body.equals(ours.body)) return undefined;
  let at = 0;
  while (at < theirs.body.length && theirs.body[at] === ours.body[at]) at++;
  return `at byte ${at}\n  want …${excerpt(theirs.body, at)}\n  got  …${excerpt(ours.body, at)}`;
}

function excerpt(body: Buffer, at: number): string {
  return JSON.stringify(body.toString('utf8', Math.max(0, at - 100), at + 200));
}
