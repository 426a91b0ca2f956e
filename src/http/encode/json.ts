import type { ListBody, ListDocument } from './document.js';
import type { ListFrame } from './joined-list.js';
import { goJson, Indenter } from './go-json.js';
import { BufferWriter, writeText } from './writer.js';

/** `{"kind":...,"items":[...]}` and a newline. Resolves to false when the client is gone. */
export async function writeJsonList(list: ListDocument, body: ListBody): Promise<boolean> {
  if (isNull(list)) {
    writeText(body, `${listHead(list).slice(0, -1)}null}\n`);
    return true;
  }
  writeText(body, listHead(list));
  const { runs, filled } = list;
  for (let run = 0; run < (filled?.count ?? 0); run++) {
    if (run > 0) writeText(body, ',');
    filled!.write(run, body);
    if (!(await body.flush())) return false;
  }
  for (let run = 0; run < (runs?.count ?? 0); run++) {
    if (run > 0) writeText(body, ',');
    const written = runs!.json(run, body);
    if (written !== undefined) await written;
    if (body.due() && !(await body.flush())) return false;
  }
  const kept = runs !== undefined || filled !== undefined;
  for (let index = 0; !kept && index < list.count; index++) {
    if (index > 0) writeText(body, ',');
    list.item(index, body);
    if (body.due() && !(await body.flush())) return false;
  }
  writeText(body, `${listTail(list)}\n`);
  return true;
}

/** The pieces of `writeJsonList` around its items and between them. */
export function jsonListFrame(list: ListDocument): ListFrame {
  return { head: Buffer.from(listHead(list)), separator: Buffer.from(','), tail: Buffer.from(`${listTail(list)}\n`) };
}

/** The same with two spaces a level and no newline at the end (spec 4.7). */
export async function writePrettyJsonList(list: ListDocument, body: ListBody): Promise<boolean> {
  const indenter = new Indenter();
  const piece = new BufferWriter(16 * 2 ** 10);
  const indent = () => {
    indenter.push(piece.bytes, 0, piece.position, body);
    piece.position = 0;
  };
  if (isNull(list)) {
    writeText(piece, `${listHead(list).slice(0, -1)}null}`);
    indent();
    return true;
  }
  writeText(piece, listHead(list));
  indent();
  for (let index = 0; index < list.count; index++) {
    if (index > 0) writeText(piece, ',');
    list.item(index, piece);
    indent();
    if (body.due() && !(await body.flush())) return false;
  }
  writeText(piece, listTail(list));
  indent();
  return true;
}

export function isNull({ count, nullWhenEmpty }: ListDocument): boolean {
  return count === 0 && nullWhenEmpty === true;
}

function listHead(list: ListDocument): string {
  return `${goJson(list.members).slice(0, -1)},"${list.itemsKey}":[`;
}

function listTail({ after }: ListDocument): string {
  return after === undefined ? ']}' : `],${goJson(after).slice(1)}`;
}

/** One compact JSON document, ended by a newline, as two spaces a level without one. */
export function indentJson(compact: Uint8Array): Buffer {
  const into = new BufferWriter(compact.length * 2);
  new Indenter().push(compact, 0, compact.length, into);
  return into.written();
}
