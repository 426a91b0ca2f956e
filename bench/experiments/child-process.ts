import type { ChildTask } from './child.js';

/** The process of one task (child.ts): told what to do in its first message, and gone when it is done. */
process.on('disconnect', () => process.exit(1));
// What a task has started is ended when its process exits, and so it must not die without that.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.on(signal, () => process.exit(code));
}
process.once('message', ({ module, task, ask }: ChildTask) => {
  import(module)
    .then((exports: Record<string, (ask: unknown) => Promise<unknown>>) => exports[task]!(ask))
    .then(
      (value) => process.send!({ value }, () => process.exit(0)),
      (error: Error) => {
        process.stderr.write(`${error.stack ?? error.message}\n`, () => process.exit(1));
      },
    );
});
