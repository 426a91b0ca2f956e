import { short } from '../../src/report/line-plot.js';
import { escaped } from '../../src/report/page.js';

export interface Series {
  readonly label: string;
  readonly server: 'peer' | 'listwatch';
  readonly dashed: boolean;
  /** In rising order of x; both coordinates are positive. */
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

const WIDTH = 640;
const HEIGHT = 400;
const LEFT = 64;
const RIGHT = 20;
const BOTTOM = 48;
const LEGEND_LINE = 20;
const STYLE = `
.page { fill: #fff } text { fill: #1c2430; font: 13px system-ui, -apple-system, "Segoe UI", sans-serif } .soft { fill: #5b6675 }
.grid { stroke: #d9dfe6 } .line { fill: none; stroke-width: 2.5 } .peer { stroke: #8a96a5 } .listwatch { stroke: #1266c4 }
.dot-peer { fill: #8a96a5 } .dot-listwatch { fill: #1266c4 } .title { font-weight: 600; font-size: 15px }
@media (prefers-color-scheme: dark) { .page { fill: #12161c } text { fill: #e4e9ef } .soft { fill: #9aa7b5 } .grid { stroke: #2c3541 }
.peer { stroke: #7c8998 } .listwatch { stroke: #5aa7f5 } .dot-peer { fill: #7c8998 } .dot-listwatch { fill: #5aa7f5 } }`;

/** A picture of its own: both axes logarithmic, so that what grows with the data is a slope of one. */
export function linePlot(title: string, xLabel: string, yLabel: string, series: readonly Series[]): string {
  const points = series.flatMap((one) => one.points);
  const xs = [...new Set(points.map(({ x }) => x))].sort((a, b) => a - b);
  const ys = points.map(({ y }) => y);
  if (ys.length === 0 || !points.every(({ x, y }) => x > 0 && y > 0)) {
    throw new Error(`${title}: a logarithmic plot needs points, and positive ones`);
  }
  const top = 62 + Math.ceil(series.length / 2) * LEGEND_LINE;
  const [low, high] = [10 ** Math.floor(Math.log10(Math.min(...ys))), 10 ** Math.ceil(Math.log10(Math.max(...ys)))];
  const first = xs[0]!;
  const last = xs.at(-1)!;
  const x = (value: number) => LEFT + (span(value, first, last) * 0.94 + 0.03) * (WIDTH - LEFT - RIGHT);
  const y = (value: number) => HEIGHT - BOTTOM - span(value, low, high) * (HEIGHT - BOTTOM - top);
  const parts = [
    `<text class="title" x="12" y="24">${escaped(title)}</text>`,
    `<text class="soft" x="${(LEFT + WIDTH) / 2}" y="${HEIGHT - 10}" text-anchor="middle">${escaped(xLabel)}</text>`,
    `<text class="soft" x="12" y="${top - 8}">${escaped(yLabel)}</text>`,
  ];
  for (let tick = low; tick <= high * 1.001; tick *= 10) {
    parts.push(
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(tick).toFixed(1)}" y2="${y(tick).toFixed(1)}"/>`,
      `<text x="${LEFT - 8}" y="${(y(tick) + 4).toFixed(1)}" text-anchor="end">${short(tick)}</text>`,
    );
  }
  for (const value of xs) {
    parts.push(
      `<text x="${x(value).toFixed(1)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${short(value)}</text>`,
    );
  }
  for (const [index, one] of series.entries()) {
    const dash = one.dashed ? ' stroke-dasharray="6 4"' : '';
    const at = one.points.map((point) => ({ x: x(point.x).toFixed(1), y: y(point.y).toFixed(1) }));
    const legend = { x: 12 + (index % 2) * 310, y: 44 + (index >> 1) * LEGEND_LINE };
    parts.push(
      `<path class="line ${one.server}"${dash} d="M${at.map((point) => `${point.x} ${point.y}`).join(' L')}"/>`,
      ...at.map((point) => `<circle class="dot-${one.server}" cx="${point.x}" cy="${point.y}" r="4"/>`),
      `<path class="line ${one.server}"${dash} d="M${legend.x} ${legend.y - 4} h28"/>`,
      `<text x="${legend.x + 36}" y="${legend.y}">${escaped(one.label)}</text>`,
    );
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}"><style>${STYLE}</style><rect class="page" width="${WIDTH}" height="${HEIGHT}"/>
${parts.join('\n')}
</svg>
`;
}

/** Where a value lies between two others, by its logarithm: 0 to 1. */
function span(value: number, from: number, to: number): number {
  return from === to ? 0.5 : Math.log(value / from) / Math.log(to / from);
}
