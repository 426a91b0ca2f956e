import { gunzipSync } from 'node:zlib';
import type { Answer } from '../support/http-client.js';
import { type AllowedDifference, allowedDifferences } from './allowed-differences.js';
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
  'content-type',
  'content-encoding',
  'cache-control',
  'vary',
  'retry-after',
  'warning',
  'x-content-type-options',
  'location',
  'allow',
  'etag',
] as const;

/** How often each allowed difference was used, in the order of the list. */
export const allowedCounts: number[] = allowedDifferences.map(() => 0);

/** The first difference between the oracle's answer and ours, or undefined. */
export function compareAnswers(request: ReadRequest, want: Answer, got: Answer): Difference | undefined {
  const allowed = allowedDifferences.filter(({ endpoint }) => endpoint === `${request.shape} ${request.resource}`);
  const forgiven = (field: string) => allowed.some((entry) => entry.field === field && count(entry));
  const differs = (what: string, wantText: string, gotText: string): Difference => ({
    class: `${request.shape} ${what}`,
    request,
    want: wantText,
    got: gotText,
  });
  const excerptOf = ({ status, body }: Answer) => `${status} ${excerpt(body, 0)}`;
  if (want.status !== got.status && !forgiven('status')) {
    return differs(`status: want ${want.status}, got ${got.status}: ${messageClass(want)} | ${messageClass(got)}`, excerptOf(want), excerptOf(got));
  }
  if (want.end !== got.end) return differs(`end of body: want ${want.end}, got ${got.end}`, excerptOf(want), excerptOf(got));
  const names = request.headers['audit-id'] === undefined ? comparedHeaders : [...comparedHeaders, 'audit-id' as const];
  for (const name of names) {
    const [wantHeader, gotHeader] = [String(want.headers[name]), String(got.headers[name])];
    if (wantHeader !== gotHeader && !forgiven(name)) {
      return differs(`${name}: want ${wantHeader}, got ${gotHeader} (${want.status})`, excerptOf(want), excerptOf(got));
    }
  }
  const [wantBody, gotBody] = [decoded(want), decoded(got)];
  if (wantBody.equals(gotBody)) return undefined;
  if (equalWithoutAllowed(wantBody, gotBody, allowed)) return undefined;
  return bodyDifference(request, want, wantBody, gotBody, differs);
}

function count(entry: AllowedDifference): boolean {
  const index = allowedDifferences.indexOf(entry);
  allowedCounts[index] = (allowedCounts[index] ?? 0) + 1;
  return true;
}

function decoded(answer: Answer): Buffer {
  return answer.headers['content-encoding'] === 'gzip' && answer.body.length > 0 ? gunzipSync(answer.body) : answer.body;
}

/** Bodies without the allowed fields must be the same text, so order and spelling still count. */
function equalWithoutAllowed(want: Buffer, got: Buffer, allowed: readonly AllowedDifference[]): boolean {
  const paths = allowed.filter(({ field }) => field.startsWith('.'));
  if (paths.length === 0) return false;
  try {
    const [wantValue, gotValue] = [JSON.parse(want.toString()), JSON.parse(got.toString())] as [unknown, unknown];
    for (const entry of paths) {
      const removed = [wantValue, gotValue].map((value) => remove(value, entry.field.slice(1).split('.')));
      if (removed.includes(true)) count(entry);
    }
    return JSON.stringify(wantValue) === JSON.stringify(gotValue);
  } catch {
    return false;
  }
}

function remove(value: unknown, [member = '', ...rest]: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null || !(member in value)) return false;
  const holder = value as Record<string, unknown>;
  if (rest.length > 0) return remove(holder[member], rest);
  delete holder[member];
  return true;
}

function bodyDifference(
  request: ReadRequest,
  want: Answer,
  wantBody: Buffer,
  gotBody: Buffer,
  differs: (what: string, want: string, got: string) => Difference,
): Difference {
  let at = 0;
  while (at < wantBody.length && wantBody[at] === gotBody[at]) at++;
  const from = Math.max(0, at - 120);
  const texts = [excerpt(wantBody, from), excerpt(gotBody, from)] as const;
  if (want.status >= 400) {
    const messages = `${messageText(wantBody)} | ${messageText(gotBody)}`;
    return differs(`body of ${want.status}: ${messages}`, wantBody.toString('utf8').slice(0, 600), gotBody.toString('utf8').slice(0, 600));
  }
  const type = String(want.headers['content-type']);
  if (request.shape === 'WATCH') {
    const [wantEvents, gotEvents] = [eventTypes(wantBody, type), eventTypes(gotBody, type)];
    if (wantEvents !== gotEvents) return differs(`events (${type}): want ${squeeze(wantEvents)}, got ${squeeze(gotEvents)}`, ...texts);
  }
  const member = /"([A-Za-z]+)":[^"]*"?[^"]*$/.exec(wantBody.toString('utf8', from, at))?.[1];
  return differs(`body of ${want.status} ${type}, ${request.resource}, at ${member ?? `byte ${at}`}`, `byte ${at}: …${texts[0]}`, `byte ${at}: …${texts[1]}`);
}

function excerpt(body: Buffer, from: number): string {
  return JSON.stringify(body.toString('utf8', from, from + 400));
}

function messageClass(answer: Answer): string {
  return answer.status >= 400 ? messageText(answer.body) : '';
}

/** The message without what varies from request to request. */
function messageText(body: Buffer): string {
  const text = body.toString('utf8');
  const message = /"?message"?:\s*"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? text.slice(0, 200);
  return message
    .replace(/\\"(?:[^"\\]|\\[^"])*\\"/g, '"…"')
    .replace(/\d+/g, 'N')
    .slice(0, 160);
}

function eventTypes(body: Buffer, contentType: string): string {
  const text = body.toString('latin1');
  const pattern = contentType.includes('protobuf') ? /\n[\x05\x07\x08](ADDED|MODIFIED|DELETED|BOOKMARK|ERROR)/g : /"type":"([A-Z]+)"/g;
  return [...text.matchAll(pattern)].map(([, type]) => type).join(' ');
}

/** `ADDED ADDED ADDED BOOKMARK` -> `ADDED… BOOKMARK`. */
function squeeze(events: string): string {
  return events.replace(/\b([A-Z]+)( \1)+\b/g, '$1…') || 'none';
}

/** Differences by class, the most frequent first, each with its first example: what a person reads when the test fails. */
export function report(differences: readonly Difference[], classesMax = 40): string {
  const groups = new Map<string, Difference[]>();
  for (const difference of differences) {
    groups.set(difference.class, [...(groups.get(difference.class) ?? []), difference]);
  }
  const sorted = [...groups].sort(([, a], [, b]) => b.length - a.length);
  const lines = sorted.slice(0, classesMax).map(([name, members]) => {
    const { request, want, got } = members[0]!;
    const asked = Object.entries(request.headers).map(([header, value]) => ` -H '${header}: ${value.slice(0, 200)}'`);
    return `${members.length} x ${name}\n    curl -X ${request.method}${asked.join('')} '$BASE${request.path.slice(0, 600)}'\n    want ${want.slice(0, 700)}\n    got  ${got.slice(0, 700)}`;
  });
  const more = sorted.length > classesMax ? [`... and ${sorted.length - classesMax} more classes`] : [];
  return [`${differences.length} differences in ${sorted.length} classes`, ...lines, ...more].join('\n');
}
