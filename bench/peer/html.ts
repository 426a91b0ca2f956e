import { escaped } from '../../src/report/escaped.js';
import { type Comparison, figure, ratioText, type Subject, targetText } from './measures.js';
import { otherText, type Report, settingText, summaryText } from './report.js';

const LABELS: Readonly<Record<Subject, string>> = {
  peer: 'Go peer',
  listwatch: 'listwatch',
  'raw-socket': 'raw socket',
  'node-https': 'node:https',
  'paged-read': 'paged read',
  'bare-watch': 'bare watch',
};

const STYLE = `
:root { color-scheme: light dark; --page: #fff; --ink: #1c2430; --soft: #5b6675; --line: #d9dfe6; --zebra: #f5f7f9;
  --peer: #8a96a5; --listwatch: #1266c4; --other: #a06a1b; --met: #14713a; --missed: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --page: #12161c; --ink: #e4e9ef; --soft: #9aa7b5; --line: #2c3541; --zebra: #181e26;
  --peer: #7c8998; --listwatch: #5aa7f5; --other: #d9a14e; --met: #5cc98a; --missed: #ff8a80; } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 24px 20px 48px; max-width: 1240px; background: var(--page); color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", sans-serif }
h1 { font-size: 24px; margin: 0 0 4px } h2 { font-size: 17px; margin: 32px 0 8px }
p { margin: 4px 0; max-width: 80ch } .soft { color: var(--soft); font-size: 13px; overflow-wrap: anywhere }
.key span { display: inline-block; margin-right: 18px } .key i { display: inline-block; width: 22px; height: 9px; margin-right: 6px }
table { width: 100%; border-collapse: collapse; margin: 4px 0 12px; font-variant-numeric: tabular-nums; table-layout: fixed }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: 13px } th, td { padding: 5px 8px; border-bottom: 1px solid var(--line); vertical-align: middle }
th.n, td.n { text-align: right } tbody tr:nth-child(odd) { background: var(--zebra) }
.plot { width: 24% } .plot svg { display: block; width: 100%; height: 22px } .figure { width: 17% }
.met { color: var(--met); font-weight: 600 } .not-met { color: var(--missed); font-weight: 600 }
.peer { fill: var(--peer); background: var(--peer) } .listwatch { fill: var(--listwatch); background: var(--listwatch) } .other { fill: var(--other); background: var(--other) }
.tick { stroke: var(--ink); stroke-width: 1; vector-effect: non-scaling-stroke } .limit { stroke: var(--missed); stroke-width: 2; vector-effect: non-scaling-stroke; stroke-dasharray: 3 2 }
@media (max-width: 700px) {
  body { padding: 16px 12px 32px } table, tbody, tr, td { display: block } thead { display: none }
  table { table-layout: auto } tr { border-bottom: 1px solid var(--line); padding: 6px 8px } td { border: 0; padding: 1px 0; width: 100% !important }
  td.n { text-align: left; display: inline-block; width: auto !important; margin-right: 14px } td:empty { display: none } td[data-label]::before { content: attr(data-label) ": "; color: var(--soft) } td.figure { font-weight: 600 }
}`;

/** One page without anything from elsewhere: table and plots, for light and dark, wide and narrow screens. */
export function htmlReport(report: Report): string {
  const titles = [...new Set(report.comparisons.map(({ title }) => title))];
  const sections = titles.map((title) => {
    const rows = report.comparisons.filter((one) => one.title === title).map(row);
    return `<h2>${escaped(title)}</h2>\n<table><thead><tr><th class="figure">figure</th><th class="plot">medians and runs</th><th class="n">Go peer</th><th class="n">listwatch</th><th class="n">other</th><th class="n">ratio</th><th class="n">target</th><th></th></tr></thead><tbody>\n${rows.join('\n')}\n</tbody></table>`;
  });
  const failures = report.failures.map(
    ({ mode, subject, run, message }) => `<li>${escaped(`${mode}, ${subject}, run ${run + 1}: ${message}`)}</li>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>listwatch beside the Go peer</title><style>${STYLE}</style></head><body>
<h1>listwatch beside the Go peer</h1>
<p>${escaped(summaryText(report))}.</p>
<p class="soft">${escaped(settingText(report))}</p>
<p class="soft key"><span><i class="peer"></i>Go peer</span><span><i class="listwatch"></i>listwatch</span><span><i class="other"></i>other</span><span>Bars: medians, from zero; ticks: the single runs; dashed: what listwatch must reach.</span></p>
${sections.join('\n')}
${failures.length === 0 ? '' : `<h2>What failed</h2><ul>${failures.join('\n')}</ul>`}
</body></html>
`;
}

function row(one: Comparison): string {
  const verdict = one.verdict === 'reported' ? '' : one.verdict;
  const cell = (label: string, text: string, kind = 'n') =>
    `<td class="${kind}"${text === '' ? '' : ` data-label="${label}"`}>${escaped(text)}</td>`;
  return `<tr><td class="figure">${escaped(one.measure.column)}</td><td class="plot">${bars(one)}</td>${[
    cell('Go peer', figure(one.medians.peer)),
    cell('listwatch', figure(one.medians.listwatch)),
    cell('other', otherText(one)),
    cell('ratio', ratioText(one.ratio)),
    cell('target', targetText(one.measure)),
  ].join('')}<td class="${verdict.replace(' ', '-')}">${verdict}</td></tr>`;
}

const WIDTH = 300;
const BAR = 8;

/** A bar a subject, a tick a run, and where the target lies; stretched to the width of its cell. */
function bars({ samples, medians, measure, other }: Comparison): string {
  const subjects = (Object.keys(LABELS) as Subject[]).filter((subject) => samples[subject] !== undefined);
  const { target } = measure;
  const of = target.kind === 'ratio' && target.against !== 'peer' ? other?.value : medians.peer;
  const against = target.kind === 'absolute' ? 1 : of;
  const limit = target.kind === 'report' || against === undefined ? undefined : target.limit * against;
  const most = Math.max(...subjects.flatMap((subject) => samples[subject] ?? []), limit ?? 0);
  if (subjects.length === 0 || most <= 0) return '';
  const x = (value: number) => ((Math.max(0, value) / most) * (WIDTH - 4)).toFixed(1);
  const height = subjects.length * (BAR + 2);
  const marks = subjects.map((subject, index) => {
    const y = index * (BAR + 2);
    const kind = subject === 'peer' || subject === 'listwatch' ? subject : 'other';
    const ticks = samples[subject]!.map(
      (value) => `<line class="tick" x1="${x(value)}" x2="${x(value)}" y1="${y}" y2="${y + BAR}"/>`,
    );
    return `<rect class="${kind}" x="0" y="${y}" width="${x(medians[subject]!)}" height="${BAR}"/>${ticks.join('')}`;
  });
  const dashed =
    limit === undefined ? '' : `<line class="limit" x1="${x(limit)}" x2="${x(limit)}" y1="0" y2="${height}"/>`;
  const text = subjects.map((subject) => `${LABELS[subject]} ${figure(medians[subject])}`).join(', ');
  return `<svg viewBox="0 0 ${WIDTH} ${height}" preserveAspectRatio="none" role="img" aria-label="${escaped(`${measure.column}: ${text}`)}">${marks.join('')}${dashed}</svg>`;
}
