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
  status = 200,
): Promise<string | undefined> {
  let found: string | undefined;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const [theirs, ours] = await world.ask(path, { ...ADMIN, ...headers });
    found = theirs.status === status ? differenceOf(theirs, ours) : `kube-apiserver answered ${theirs.status}`;
    if (found === undefined) return undefined;
  }
  return `GET ${path} (${headers['accept'] ?? ''}): ${found}`;
}

/** Path, Accept (default JSON), and the status that is expected of kube-apiserver (default 200). */
export type Question = readonly [path: string, accept?: string, status?: number];

/** Where the answers to many questions differ; a few at a time, so that each takes no longer than it would alone. */
export async function disagreements(
  world: Pick<ControlPlane, 'ask'>,
  questions: readonly Question[],
): Promise<readonly string[]> {
  const found: string[] = [];
  const waiting = questions.values();
  const askNext = async () => {
    for (const [path, accept = JSON_TYPE, status] of waiting) {
      const difference = await disagreement(world, path, { accept }, status);
      if (difference !== undefined) found.push(difference);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, askNext));
  return found;
}
const AT_ONCE = 4;

function differenceOf(theirs: Answer, ours: Answer): string | undefined {
  if (ours.status !== theirs.status) return `got ${ours.status} ${excerpt(ours.body, 0)}`;
  for (const name of COMPARED) {
    const [want, got] = [String(theirs.headers[name]), String(ours.headers[name])];
    if (want !== got) return `${theirs.status} ${name}: want ${want}, got ${got}`;
  }
  const [want, got] = [comparable(theirs), comparable(ours)];
  if (want.equals(got)) return undefined;
  let at = 0;
  while (at < want.length && want[at] === got[at]) at++;
  return `at byte ${at}\n  want …${excerpt(want, at)}\n  got  …${excerpt(got, at)}`;
}

/** In columns of Tables, descriptions of names and ages are in our own words. */
const DESCRIPTION =
  /("name":"(?:Name|Age|Created At)","type":"[a-z]+","format":"[a-z]*","description":)"(?:[^"\\]|\\.)*"/g;
const YAML_DESCRIPTION =
  /- description: (?:(?!\n {2}\w)[\s\S])*(\n {2}format: .*\n {2}name: (?:Name|Age|Created At)\n)/g;

function comparable({ body, headers }: Answer): Buffer {
  if (!body.includes('columnDefinitions')) return body;
  const text = body.toString('latin1');
  const isYaml = headers['content-type'] === 'application/yaml';
  return Buffer.from(isYaml ? text.replace(YAML_DESCRIPTION, '-$1') : text.replace(DESCRIPTION, '$1'), 'latin1');
}

function excerpt(body: Buffer, at: number): string {
  return JSON.stringify(body.toString('utf8', Math.max(0, at - 100), at + 200));
}
