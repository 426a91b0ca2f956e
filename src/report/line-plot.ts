import { escaped } from './escaped.js';
import { COLORS, plotStyle } from './plot-style.js';

export interface PlotPoint {
  readonly x: number;
  readonly y: number;
  /** What is sure about y; drawn as a whisker. */
  readonly low?: number;
  readonly high?: number;
}

export interface PlotSeries {
  readonly label: string;
  /** Which of the page's colours, and dashed or not; else by its place among the series. */
  readonly color?: number;
  readonly dashed?: boolean;
  /** In rising order of x. */
  readonly points: readonly PlotPoint[];
}

export interface PlotOptions {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly xScale: 'log' | 'linear';
  readonly yScale: 'log' | 'linear';
  readonly series: readonly PlotSeries[];
  /** A dashed line across, e.g. a bound. */
  readonly bound?: { readonly y: number; readonly label: string };
}

const WIDTH = 640;
const HEIGHT = 380;
const LEFT = 66;
const RIGHT = 22;
const BOTTOM = 50;
const LEGEND_LINE = 20;
const LEGEND_COLUMNS = 2;
const LINEAR_TICKS = 5;
/** More points than this are a curve. */
const DOTS_MAX = 24;

/** A picture as a file of its own, for light and dark. Throws as linePlot does. */
export function linePlotFile(options: PlotOptions): string {
  const paper = `<style>${plotStyle}</style><rect class="paper" width="${WIDTH}" height="${HEIGHT}"/>`;
  return `${linePlot(options).replace(/^<svg ([^>]*)>/, `<svg xmlns="http://www.w3.org/2000/svg" $1>${paper}`)}\n`;
}

/** A picture in the colours of the page around it. Throws when a logarithmic axis is given what has no logarithm. */
export function linePlot(options: PlotOptions): string {
  const { title, xLabel, yLabel, series, bound } = options;
  const points = series.flatMap((one) => one.points);
  if (points.length === 0) throw new Error(`${title}: there is nothing to draw`);
  const lines = Math.ceil(series.length / LEGEND_COLUMNS);
  const top = 56 + lines * LEGEND_LINE;
  const ys = points.flatMap(({ y, low = y, high = y }) => [y, low, high]);
  const xAxis = axis(
    options.xScale,
    points.map(({ x }) => x),
    title,
    false,
  );
  const yAxis = axis(options.yScale, bound === undefined ? ys : [...ys, bound.y], title, true);
  const x = (value: number) => (LEFT + (xAxis.at(value) * 0.94 + 0.03) * (WIDTH - LEFT - RIGHT)).toFixed(1);
  const y = (value: number) => (HEIGHT - BOTTOM - yAxis.at(value) * (HEIGHT - BOTTOM - top)).toFixed(1);
  const parts = [
    `<text class="title" x="12" y="24">${escaped(title)}</text>`,
    `<text class="soft" x="${(LEFT + WIDTH) / 2}" y="${HEIGHT - 10}" text-anchor="middle">${escaped(xLabel)}</text>`,
    `<text class="soft" x="12" y="${top - 10}">${escaped(yLabel)}</text>`,
  ];
  for (const tick of yAxis.ticks) {
    parts.push(
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(tick)}" y2="${y(tick)}"/>`,
      `<text x="${LEFT - 8}" y="${(Number(y(tick)) + 4).toFixed(1)}" text-anchor="end">${short(tick)}</text>`,
    );
  }
  for (const tick of xAxis.ticks) {
    parts.push(`<text x="${x(tick)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${short(tick)}</text>`);
  }
  if (bound !== undefined) {
    parts.push(
      `<line class="bound" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(bound.y)}" y2="${y(bound.y)}"/>`,
      `<text class="soft" x="${WIDTH - RIGHT}" y="${(Number(y(bound.y)) - 5).toFixed(1)}" text-anchor="end">${escaped(bound.label)}</text>`,
    );
  }
  for (const [index, one] of series.entries()) {
    const { color = index % COLORS, dashed = index >= COLORS } = one;
    const style = `s${color}`;
    const dash = dashed ? ' stroke-dasharray="6 4"' : '';
    const legend = {
      x: 12 + (index % LEGEND_COLUMNS) * ((WIDTH - 12) / LEGEND_COLUMNS),
      y: 44 + Math.floor(index / LEGEND_COLUMNS) * LEGEND_LINE,
    };
    for (const { x: at, low, high } of one.points) {
      if (low === undefined || high === undefined) continue;
      parts.push(`<line class="whisker ${style}" x1="${x(at)}" x2="${x(at)}" y1="${y(low)}" y2="${y(high)}"/>`);
    }
    parts.push(
      `<path class="line ${style}"${dash} d="M${one.points.map((point) => `${x(point.x)} ${y(point.y)}`).join(' L')}"/>`,
      ...(one.points.length > DOTS_MAX ? [] : one.points).map(
        (point) => `<circle class="dot ${style}" cx="${x(point.x)}" cy="${y(point.y)}" r="3.5"/>`,
      ),
      `<path class="line ${style}"${dash} d="M${legend.x} ${legend.y - 4} h26"/>`,
      `<text x="${legend.x + 33}" y="${legend.y}">${escaped(one.label)}</text>`,
    );
  }
  return `<svg class="plot" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}">${parts.join('\n')}</svg>`;
}

interface Axis {
  readonly ticks: readonly number[];
  /** 0 to 1. */
  at(value: number): number;
}

/** `whole`: the axis runs from tick to tick; else from the first value to the last, with those as ticks. */
function axis(scale: 'log' | 'linear', values: readonly number[], title: string, whole: boolean): Axis {
  if (scale === 'log') {
    if (!values.every((value) => value > 0)) throw new Error(`${title}: a logarithmic axis needs positive values`);
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const low = whole ? 10 ** Math.floor(Math.log10(least)) : least;
    const high = whole ? Math.max(low * 10, 10 ** Math.ceil(Math.log10(most))) : most;
    const ticks = whole
      ? Array.from({ length: Math.round(Math.log10(high / low)) + 1 }, (_, power) => low * 10 ** power)
      : [...new Set(values)].sort((a, b) => a - b);
    return { ticks, at: (value) => (low === high ? 0.5 : Math.log(value / low) / Math.log(high / low)) };
  }
  const high = Math.max(...values, 0);
  const step = niceStep(high / LINEAR_TICKS);
  const last = whole ? Math.max(step, Math.ceil(high / step - 1e-9) * step) : high;
  const ticks = Array.from({ length: Math.floor(last / step + 1e-9) + 1 }, (_, index) => index * step);
  return { ticks, at: (value) => (last === 0 ? 0 : value / last) };
}

/** 1, 2 or 5 times a power of ten, at least `atLeast`. */
function niceStep(atLeast: number): number {
  if (atLeast <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(atLeast));
  return ([1, 2, 5, 10].find((factor) => factor * power >= atLeast) ?? 10) * power;
}

export function short(value: number): string {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (value >= 1000) return `${Number((value / 1000).toPrecision(3))}k`;
  return String(Number(value.toPrecision(3)));
}
