import { gunzipSync } from 'node:zlib';
import { parse as parseYaml } from 'yaml';
import type { Answer } from '../support/http-client.js';
import { allowedDifferences } from './allowed-differences.js';
import type { ReadRequest } from './requests.js';

export interface Difference {
  /** Requests whose differences have the same cause have, mostly, the same class. */
  readonly class: string;
  readonly request: ReadRequest;
  readonly want: string;
  readonly got: string;
}

/** Headers that a client of Kubernetes may act on. Date, Content-Length and framing belong to the HTTP library. */
const comparedHeaders = [
  ...['content-type', 'content-encoding', 'cache-control', 'vary', 'retry-after', 'warning'],
  ...['x-content-type-options', 'location', 'allow', 'etag'],
];
const NOT_FOUND_TEXT = '404 page not found\n';

/** How often each allowed difference was used, in the order of the list. */
export const allowedCounts: number[] = allowedDifferences.map(() => 0);

function allow(endpoint: string, field: string): boolean {
  const index = allowedDifferences.findIndex((entry) => entry.endpoint === endpoint && entry.field === field);
  if (index >= 0) allowedCounts[index] = (allowedCounts[index] ?? 0) + 1;
  return index >= 0;
}

/** The first difference between the oracle's answer and ours, or undefined. */
export function compareAnswers(request: ReadRequest, oracle: Answer, got: Answer): Difference | undefined {
  const want = asKubeApiserver(oracle);
  const endpoint = `${request.shape} ${request.resource}`;
  const differs = (what: string, wantText = excerpt(want.body), gotText = excerpt(got.body)): Difference => ({
    class: `${request.shape} ${what}`,
    request,
    want: `${want.status} ${wantText}`,
    got: `${got.status} ${gotText}`,
  });
  if (want.status !== got.status) {
    if (refusesControlCharacters(want) && got.status === 200 && allow('application/yaml', 'control characters'))
      return undefined;
    return differs(`status: want ${want.status}, got ${got.status}: ${messageOf(want)} | ${messageOf(got)}`);
  }
  if (want.end !== got.end) return differs(`end of body: want ${want.end}, got ${got.end}`);
  const names = request.headers['audit-id'] === undefined ? comparedHeaders : [...comparedHeaders, 'audit-id'];
  for (const name of names) {
    const [wantHeader, gotHeader] = [String(want.headers[name]), String(got.headers[name])];
    if (wantHeader !== gotHeader && !allow(endpoint, name)) {
      return differs(`${name}: want ${wantHeader}, got ${gotHeader} (${want.status})`);
    }
  }
  const [wantBody, gotBody] = [decoded(want), decoded(got)];
  if (wantBody.equals(gotBody)) return undefined;
  if (equalWhereAllowed(wantBody, gotBody, String(want.headers['content-type']), endpoint)) return undefined;
  return bodyDifference(request, want, wantBody, got, gotBody, differs);
}

/** What kube-apiserver says where the peer is known to be another server. */
function asKubeApiserver(answer: Answer): Answer {
  if (answer.status !== 404 || answer.headers['content-type'] !== 'application/json') return answer;
  if (!answer.body.subarray(0, 20).toString().startsWith('{\n  "paths": [') || !allow('unregistered path', 'answer'))
    return answer;
  const headers = {
    ...answer.headers,
    'content-type': 'text/plain; charset=utf-8',
    'x-content-type-options': 'nosniff',
  };
  return { ...answer, headers, body: Buffer.from(NOT_FOUND_TEXT) };
}

function refusesControlCharacters(want: Answer): boolean {
  return want.status === 500 && want.body.includes('yaml: control characters are not allowed');
}

function decoded(answer: Answer): Buffer {
  return answer.headers['content-encoding'] === 'gzip' && answer.body.length > 0
    ? gunzipSync(answer.body)
    : answer.body;
}

/** What is left without the allowed members must be the same text, so order and spelling of values still count. */
function equalWhereAllowed(want: Buffer, got: Buffer, contentType: string, endpoint: string): boolean {
  const yaml = contentType === 'application/yaml';
  const members = allowedDifferences.filter((entry) => entry.endpoint === endpoint && entry.field.startsWith('.'));
  if (!yaml && (contentType !== 'application/json' || members.length === 0)) return false;
  try {
    const [wantValue, gotValue] = [want, got].map((body) => (yaml ? readYaml(body) : JSON.parse(body.toString()))) as [
      unknown,
      unknown,
    ];
    const removed = members.filter(({ field }) => {
      return [wantValue, gotValue].map((value) => remove(value, field.slice(1).split('.'))).includes(true);
    });
    if (JSON.stringify(wantValue) !== JSON.stringify(gotValue)) return false;
    for (const entry of removed) allow(entry.endpoint, entry.field);
    return !yaml || allow('application/yaml', 'style');
  } catch {
    return false;
  }
}

/** As sigs.k8s.io/yaml reads it: YAML 1.1, except that a dot, a key of managed fields, is no number to it. */
function readYaml(body: Buffer): unknown {
  return parseYaml(body.toString().replace(/^(\s*(?:- )*)\.: /gm, '$1".": '), {
    version: '1.1',
    maxAliasCount: 0,
    intAsBigInt: false,
  });
}

function remove(value: unknown, [step = '', ...rest]: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const list = step.endsWith('[]');
  const member = list ? step.slice(0, -2) : step;
  if (!(member in value)) return false;
  const holder = value as Record<string, unknown>;
  if (rest.length === 0) return delete holder[member];
  const inner = holder[member];
  if (!list) return remove(inner, rest);
  return Array.isArray(inner) && inner.map((element) => remove(element, rest)).includes(true);
}

function bodyDifference(
  request: ReadRequest,
  want: Answer,
  wantBody: Buffer,
  got: Answer,
  gotBody: Buffer,
  differs: (what: string, want?: string, got?: string) => Difference,
): Difference {
  let at = 0;
  while (at < wantBody.length && wantBody[at] === gotBody[at]) at++;
  const from = Math.max(0, at - 120);
  const texts = [`byte ${at}: …${excerpt(wantBody, from)}`, `byte ${at}: …${excerpt(gotBody, from)}`] as const;
  if (want.status >= 400) return differs(`body of ${want.status}: ${messageOf(want)} | ${messageOf(got)}`);
  const type = String(want.headers['content-type']);
  if (request.shape === 'WATCH') {
    const [wantEvents, gotEvents] = [eventTypes(wantBody, type), eventTypes(gotBody, type)];
    if (wantEvents !== gotEvents)
      return differs(`events (${type}): want ${squeeze(wantEvents)}, got ${squeeze(gotEvents)}`, ...texts);
  }
  const member = /"([A-Za-z]+)":[^"]*"?[^"]*$/.exec(wantBody.toString('utf8', from, at))?.[1];
  return differs(`body of ${want.status} ${type}, ${request.resource}, at ${member ?? 'another place'}`, ...texts);
}

function excerpt(body: Buffer, from = 0): string {
  return JSON.stringify(body.toString('utf8', from, from + 400));
}

/** The message of a Status in any encoding, without what varies from request to request. */
function messageOf(answer: Answer): string {
  if (answer.status < 400) return '';
  const text = answer.body.toString('utf8');
  let message = text.slice(0, 160);
  if (text.startsWith('k8s\0')) message = /Failure\x1a.([^\x00-\x08]*)/.exec(text)?.[1] ?? message;
  else {
    try {
      const value = (
        answer.headers['content-type'] === 'application/yaml' ? readYaml(answer.body) : JSON.parse(text)
      ) as { message?: string };
      message = value.message ?? message;
    } catch {
      // Plain text stands for itself.
    }
  }
  return message
    .replace(/"(?:[^"\\]|\\.)*"/g, '"…"')
    .replace(/\d+/g, 'N')
    .slice(0, 160);
}

function eventTypes(body: Buffer, contentType: string): string {
  const text = body.toString('latin1');
  const pattern = contentType.includes('protobuf')
    ? /\n[\x05\x07\x08](ADDED|MODIFIED|DELETED|BOOKMARK|ERROR)/g
    : /"type":"([A-Z]+)"/g;
  return [...text.matchAll(pattern)].map(([, type]) => type).join(' ');
}

/** `ADDED ADDED ADDED BOOKMARK` -> `ADDED… BOOKMARK`. */
function squeeze(events: string): string {
  return events.replace(/\b([A-Z]+)( \1)+\b/g, '$1…') || 'none';
}

/** Differences by class, the most frequent first, each with its first example: what a person reads when the test fails. */
export function report(differences: readonly Difference[], classesMax = 60): string {
  const groups = new Map<string, Difference[]>();
  for (const difference of differences) {
    groups.set(difference.class, [...(groups.get(difference.class) ?? []), difference]);
  }
  const sorted = [...groups].sort(([, a], [, b]) => b.length - a.length);
  const lines = sorted.slice(0, classesMax).map(([name, members]) => {
    const { request, want, got } = members[0]!;
    const asked = Object.entries(request.headers).map(([header, value]) => ` -H '${header}: ${value.slice(0, 200)}'`);
    const method = request.method === 'HEAD' ? '-I' : `-X ${request.method}`;
    return [
      `${members.length} x ${printable(name)}`,
      `    curl ${method}${asked.join('')} "$BASE"'${printable(request.path.slice(0, 600))}'`,
      `    want ${want.slice(0, 600)}`,
      `    got  ${got.slice(0, 600)}`,
    ].join('\n');
  });
  const more = sorted.length > classesMax ? [`... and ${sorted.length - classesMax} more classes`] : [];
  return [`${differences.length} differences in ${sorted.length} classes`, ...lines, ...more].join('\n');
}

function printable(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\uffff]/g, (character) => `\\x${character.charCodeAt(0).toString(16)}`);
}
