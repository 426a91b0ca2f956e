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
export const YAML_TYPE = 'application/yaml';
export const PROTOBUF_TYPE = 'application/vnd.kubernetes.protobuf';
export const as = (type: string, form: string, version = 'v1') => `${type};as=${form};v=${version};g=meta.k8s.io`;
/** What `kubectl get` accepts. */
export const KUBECTL_TABLE = [as(JSON_TYPE, 'Table'), as(JSON_TYPE, 'Table', 'v1beta1'), JSON_TYPE].join(',');

/** What of two bodies is compared: theirs, then ours. */
export type Shown = (theirs: Buffer, ours: Buffer) => readonly [theirs: Buffer, ours: Buffer];

/** Where the answers to one question of the admin differ, or undefined; asked again while they differ. */
export async function disagreement(
  world: Pick<ControlPlane, 'ask'>,
  path: string,
  headers: Readonly<Record<string, string>>,
  { status = 200, shown }: { readonly status?: number; readonly shown?: Shown } = {},
): Promise<string | undefined> {
  let found: string | undefined;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const [theirs, ours] = await world.ask(path, { ...ADMIN, ...headers });
    found =
      theirs.status === status
        ? differenceOf(theirs, ours, shown)
        : `kube-apiserver answered ${theirs.status} ${excerpt(theirs.body, 0)}`;
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
      const difference = await disagreement(world, path, { accept }, status === undefined ? {} : { status });
      if (difference !== undefined) found.push(difference);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, askNext));
  return found;
}
const AT_ONCE = 4;

function differenceOf(theirs: Answer, ours: Answer, shown: Shown | undefined): string | undefined {
  if (ours.status !== theirs.status) return `got ${ours.status} ${excerpt(ours.body, 0)}`;
  for (const name of COMPARED) {
    const [want, got] = [String(theirs.headers[name]), String(ours.headers[name])];
    if (want !== got) return `${theirs.status} ${name}: want ${want}, got ${got}`;
  }
  return bytesDiffer(...(shown?.(theirs.body, ours.body) ?? [comparable(theirs), comparable(ours)]));
}

/** Where two texts part, with what is around it, or undefined. */
export function bytesDiffer(want: Buffer, got: Buffer): string | undefined {
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
