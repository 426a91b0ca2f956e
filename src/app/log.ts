import { pino } from 'pino';

/** The part of a pino logger that the process uses; fastify takes the same object. */
export type Log = pino.Logger;

/** kube-apiserver's --v counts upwards: more is more. */
function levelOf(verbosity: number): pino.Level {
  if (verbosity === 0) return 'warn';
  if (verbosity <= 3) return 'info';
  return verbosity <= 5 ? 'debug' : 'trace';
}

/** Logs go to stderr, so that stdout holds only what the command prints. */
export function createLog(verbosity: number, format: 'text' | 'json'): Log {
  const options: pino.LoggerOptions = {
    level: levelOf(verbosity),
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  const stderr = pino.destination({ dest: 2, sync: true });
  return format === 'json' ? pino(options, stderr) : pino(options, { write: (line) => stderr.write(textLine(line)) });
}

const letters: Readonly<Record<number, string>> = { 10: 'T', 20: 'D', 30: 'I', 40: 'W', 50: 'E', 60: 'F' };

/** `I 2026-01-01T10:00:00.000Z message key=value`: one line, whatever the values hold. */
export function textLine(json: string): string {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(json) as Record<string, unknown>;
  } catch {
    return json;
  }
  const { level, time, msg, ...rest } = entry;
  const values = Object.entries(rest).map(
    ([key, value]) => `${key}=${typeof value === 'object' ? textOf(value) : String(value)}`,
  );
  return `${[letters[level as number] ?? '?', time, msg, ...values].join(' ').replace(CONTROLS, escaped)}\n`;
}

/** What ends a line, or tells a terminal to do something: texts may be those of clients. */
const CONTROLS = /[\x00-\x1f\x7f-\x9f\u2028\u2029]/g;
const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function escaped(control: string): string {
  return NAMED[control] ?? `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function textOf(value: unknown): string {
  const error = value as { readonly message?: unknown; readonly stack?: unknown } | null;
  if (typeof error?.stack === 'string') return error.stack;
  return typeof error?.message === 'string' ? error.message : JSON.stringify(value);
}
