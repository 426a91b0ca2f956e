import { open, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { LineCounter, parseDocument } from 'yaml';

/** One object as written in a file, and where. */
export interface Found {
  /** 1 for the first document of the file. */
  readonly document: number;
  /** Index in the List, where the document is one. */
  readonly item: number | undefined;
  /** First line of the document or, in YAML, of the item. */
  readonly line: number;
  readonly content: { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly message: string };
}

const REPORT_EVERY_BYTES = 16 * 2 ** 10;
const REPORT_EVERY_OBJECTS = 16;

/**
 * The objects of a manifest file, Lists taken apart. A YAML file is read document by document, and
 * the items of a List (`kubectl get -o yaml`) one at a time, so a dump of any size fits in memory.
 */
export async function* readObjects(path: string, onBytes: (bytes: number) => void): AsyncGenerator<Found> {
  if (/\.json$/i.test(path)) yield* readJson(path, onBytes);
  else yield* readYaml(path, onBytes);
}

async function* readJson(path: string, onBytes: (bytes: number) => void): AsyncGenerator<Found> {
  const bytes = await readFile(path);
  let value: unknown;
  try {
    value = JSON.parse(withoutMark(bytes.toString('utf8')));
  } catch {
    // Several objects one after another, or JSON with comments: the YAML reader takes most of these.
    return yield* readYaml(path, onBytes);
  }
  // The file is in memory by now; its bytes count as read while its objects are taken out.
  const found = [...takeApart(value, 1, 1)];
  for (const [index, object] of found.entries()) {
    yield object;
    if ((index + 1) % REPORT_EVERY_OBJECTS === 0) onBytes((bytes.length / found.length) * REPORT_EVERY_OBJECTS);
  }
}

async function* readYaml(path: string, onBytes: (bytes: number) => void): AsyncGenerator<Found> {
  const file = await open(path); // a file that cannot be read rejects here; the line reader would lose the error
  const stream = file.createReadStream({ encoding: 'utf8' });
  const lines = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY });
  const parts = splitter();
  let line = 0;
  let unreported = 0;
  try {
    for await (const text of lines) {
      line++;
      yield* parts.line(line === 1 ? withoutMark(text) : text, line);
      // What has been turned into objects, not what the stream has read ahead.
      unreported += Buffer.byteLength(text) + 1;
      if (unreported < REPORT_EVERY_BYTES) continue;
      onBytes(unreported);
      unreported = 0;
    }
    yield* parts.end();
  } finally {
    lines.close();
    stream.destroy();
    await file.close().catch(() => {}); // the stream may have closed it already
  }
}

/** What is being collected: a document, or the items of the List that the document turned out to be. */
function splitter() {
  let document = 0;
  let startLine = 1;
  let head: string[] = [];
  let items: { indent: number; text: string[]; line: number; count: number; waiting: Found[] } | undefined;
  let inItems = false;

  function* item(): Generator<Found> {
    if (items === undefined || items.text.length === 0) return;
    const text = items.text.join('\n');
    const index = items.count++;
    const found = { document, item: index, line: items.line };
    items.text = [];
    const content = parseYaml(text, items.line);
    // Items of a typed list (`kind: PodList`) may leave their kind to the list, whose own comes later.
    if (content.ok && isRecord(content.value) && content.value['kind'] === undefined)
      items.waiting.push({ ...found, content });
    else yield { ...found, content };
  }

  function* finish(): Generator<Found> {
    if (items === undefined) {
      const text = head.join('\n');
      if (hasContent(head)) {
        const content = parseYaml(text, startLine);
        if (!content.ok) yield { document, item: undefined, line: startLine, content };
        else if (content.value !== null) yield* takeApart(content.value, document, startLine);
        else document--; // only comments: not a document
      } else document--;
    } else {
      yield* item();
      const content = parseYaml(head.join('\n'), startLine);
      if (!content.ok) yield { document, item: undefined, line: startLine, content };
      const list = content.ok ? content.value : undefined;
      for (const waiting of items.waiting) {
        const value = waiting.content.ok ? withKindOf(list, waiting.content.value) : undefined;
        yield { ...waiting, content: { ok: true, value } };
      }
    }
    head = [];
    items = undefined;
    inItems = false;
  }

  document = 1;
  return {
    *line(text: string, number: number): Generator<Found> {
      const mark = /^(---|\.\.\.)(\s|$)/.exec(text);
      if (mark !== null) {
        yield* finish();
        document++;
        startLine = number + 1;
        const rest = text.slice(3);
        if (mark[1] === '---' && rest.trim() !== '' && !rest.trim().startsWith('#')) {
          head.push(rest);
          startLine = number;
        }
        return;
      }
      if (/^%(YAML|TAG)\s/.test(text) && !hasContent(head)) return;
      if (!inItems && items === undefined && /^items:\s*$/.test(text)) {
        items = { indent: -1, text: [], line: 0, count: 0, waiting: [] };
        inItems = true;
        return;
      }
      if (inItems && items !== undefined) {
        const dash = /^( *)-( |$)/.exec(text);
        if (dash !== null && (items.indent === -1 || dash[1]!.length === items.indent)) {
          yield* item();
          items.indent = dash[1]!.length;
          items.line = number;
          items.text.push(text.replace('-', ' '));
          return;
        }
        const outside = /^[^\s#-]/.test(text);
        if (!outside) {
          if (items.indent !== -1) items.text.push(text);
          return;
        }
        inItems = false;
      }
      head.push(text);
    },
    end: finish,
  };
}

/** A List (of whatever name) becomes its items; anything else is one object. */
function* takeApart(value: unknown, document: number, line: number): Generator<Found> {
  const items = isRecord(value) ? value['items'] : undefined;
  const values = Array.isArray(value) ? value : Array.isArray(items) ? items : undefined;
  if (values === undefined) {
    yield { document, item: undefined, line, content: { ok: true, value } };
    return;
  }
  for (const [index, object] of values.entries()) {
    yield { document, item: index, line, content: { ok: true, value: withKindOf(value, object) } };
  }
}

function withKindOf(list: unknown, object: unknown): unknown {
  if (!isRecord(list) || !isRecord(object) || object['kind'] !== undefined) return object;
  const kind = list['kind'];
  if (typeof kind !== 'string' || !kind.endsWith('List') || kind === 'List') return object;
  return { apiVersion: list['apiVersion'], ...object, kind: kind.slice(0, -'List'.length) };
}

/**
 * YAML as kubectl reads it: version 1.1 (so `yes` and `0644` mean what they mean there), except that
 * times stay text and 1:30 is not a number.
 */
function parseYaml(text: string, firstLine: number): Found['content'] {
  if (text.trimStart().startsWith('{')) {
    try {
      return { ok: true, value: JSON.parse(text) };
    } catch {
      // Flow style YAML: read below.
    }
  }
  const lineCounter = new LineCounter();
  try {
    const document = parseDocument(text, {
      version: '1.1',
      merge: true,
      lineCounter,
      prettyErrors: false,
      logLevel: 'error',
      customTags: (tags) =>
        tags.filter(
          (tag) => typeof tag !== 'object' || (tag.tag !== 'tag:yaml.org,2002:timestamp' && tag.format !== 'TIME'),
        ),
    });
    const problem = document.errors[0];
    if (problem !== undefined) {
      const { line, col } = lineCounter.linePos(problem.pos[0]);
      return {
        ok: false,
        message: `line ${firstLine + line - 1}, column ${col}: ${withoutSource(problem.message)}`,
      };
    }
    return { ok: true, value: document.toJS({ maxAliasCount: 100 }) };
  } catch (error) {
    if (error instanceof RangeError) return { ok: false, message: 'nested too deeply' }; // the reader calls itself
    return { ok: false, message: withoutSource(error instanceof Error ? error.message : String(error)) };
  }
}

/** The reader quotes what it stumbles over, which may be a line of a Secret. */
function withoutSource(message: string): string {
  const [line = ''] = message.split('\n');
  return line.replace(/( in YAML (?:stream|document)| before the alias\)): .*$/, '$1').trim();
}

function hasContent(lines: readonly string[]): boolean {
  return lines.some((line) => line.trim() !== '' && !line.trimStart().startsWith('#'));
}

function withoutMark(text: string): string {
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
