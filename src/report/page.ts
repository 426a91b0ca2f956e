import { escaped } from './escaped.js';
import { plotStyle } from './plot-style.js';

const STYLE = `${plotStyle}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 24px 20px 48px; max-width: 1280px; background: var(--page); color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", sans-serif }
h1 { font-size: 24px; margin: 0 0 4px } h2 { font-size: 17px; margin: 32px 0 8px }
p, li { margin: 4px 0; max-width: 80ch } .soft { color: var(--soft); font-size: 13px; overflow-wrap: anywhere }
code { font: 13px ui-monospace, "SF Mono", Menlo, monospace }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 480px), 1fr)); gap: 18px }
.plot { width: 100%; height: auto; display: block }
.wide { overflow-x: auto } table { border-collapse: collapse; margin: 4px 0 12px; font-variant-numeric: tabular-nums; font-size: 14px }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: 13px } th, td { padding: 4px 9px; border-bottom: 1px solid var(--line); vertical-align: top }
th.n, td.n { text-align: right; white-space: nowrap } tbody tr:nth-child(odd) { background: var(--zebra) } .good { color: var(--good) } .bad { color: var(--bad) }
@media print { body { max-width: none; padding: 0 } .plots { grid-template-columns: 1fr 1fr } .plots > *, tr { break-inside: avoid } }`;

export interface PageTable {
  readonly head: readonly string[];
  /** A cell is text, or text with a class of the page: `good`, `bad`. Columns of numbers are aligned right. */
  readonly rows: readonly (readonly PageCell[])[];
}
export type PageCell = string | number | { readonly text: string; readonly style: 'good' | 'bad' };

export interface PageSection {
  readonly title: string;
  readonly text?: readonly string[];
  /** SVG elements, as linePlot makes them. */
  readonly plots?: readonly string[];
  readonly table?: PageTable;
}

/** One page without anything from elsewhere: for light and dark, wide and narrow screens, and paper. */
export function page(
  title: string,
  intro: readonly string[],
  setting: readonly string[],
  sections: readonly PageSection[],
): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title><style>${STYLE}</style></head><body>
<h1>${escaped(title)}</h1>
${intro.map((text) => `<p>${escaped(text)}</p>`).join('\n')}
${setting.map((text) => `<p class="soft">${escaped(text)}</p>`).join('\n')}
${sections.map(sectionHtml).join('\n')}
</body></html>
`;
}

function sectionHtml({ title, text = [], plots = [], table }: PageSection): string {
  return [
    `<h2>${escaped(title)}</h2>`,
    ...text.map((line) => `<p>${escaped(line)}</p>`),
    ...(plots.length === 0 ? [] : [`<div class="plots">\n${plots.join('\n')}\n</div>`]),
    ...(table === undefined ? [] : [tableHtml(table)]),
  ].join('\n');
}

function tableHtml({ head, rows }: PageTable): string {
  const numeric = head.map((_, column) => rows.some((row) => typeof row[column] === 'number'));
  const cell = (value: PageCell, column: number) => {
    const style = [numeric[column] ? 'n' : '', typeof value === 'object' ? value.style : ''].join(' ').trim();
    const text = typeof value === 'object' ? value.text : typeof value === 'number' ? figure(value) : value;
    return `<td${style === '' ? '' : ` class="${style}"`}>${escaped(text)}</td>`;
  };
  const heads = head.map((text, column) => `<th${numeric[column] ? ' class="n"' : ''}>${escaped(text)}</th>`);
  const lines = rows.map((row) => `<tr>${row.map(cell).join('')}</tr>`);
  return `<div class="wide"><table><thead><tr>${heads.join('')}</tr></thead><tbody>\n${lines.join('\n')}\n</tbody></table></div>`;
}

/** Three digits that count; thousands apart. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '';
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}
