/**
 * Comma-separated rows as Go's encoding/csv reads them: fields may be quoted, a quoted one may hold commas, newlines and
 * doubled quotes, and empty lines are no rows. Throws SyntaxError that names the line, and nothing of its text: these are secrets.
 */
export function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let at = 0;
  let line = 1;
  const fail = (what: string): never => {
    throw new SyntaxError(`line ${line}: ${what}`);
  };
  const atLineEnd = () => at >= text.length || text[at] === '\n' || text.startsWith('\r\n', at);
  const endLine = () => {
    at += text[at] === '\r' ? 2 : 1;
    line++;
  };
  const quoted = () => {
    let value = '';
    const startLine = line;
    for (at++; ; ) {
      const end = text.indexOf('"', at);
      if (end < 0) {
        line = startLine;
        return fail('a quote that is not closed');
      }
      const part = text.slice(at, end).replaceAll('\r\n', '\n');
      line += part.split('\n').length - 1;
      value += part;
      at = end + 1;
      if (text[at] !== '"') return value;
      value += '"';
      at++;
    }
  };
  const bare = () => {
    const start = at;
    while (!atLineEnd() && text[at] !== ',') {
      if (text[at] === '"') fail('a quote inside of a field that is not quoted');
      at++;
    }
    return text.slice(start, at);
  };
  while (at < text.length) {
    if (atLineEnd()) {
      endLine();
      continue;
    }
    const row: string[] = [];
    for (;;) {
      row.push(text[at] === '"' ? quoted() : bare());
      if (text[at] !== ',') break;
      at++;
    }
    if (!atLineEnd()) fail('text behind a closing quote');
    endLine();
    rows.push(row);
  }
  return rows;
}
