import { MessageChannel } from 'node:worker_threads';

/** Keeps the process alive until it is called back: the clock's timers do not, and an open port does. */
export function stayAwake(): () => void {
  const { port1 } = new MessageChannel();
  port1.on('message', () => {});
  return () => port1.close();
}
