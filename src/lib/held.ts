/** Memory that is used again once nobody holds it. */
export interface Held {
  hold(): void;
  /** Once for each `hold`. */
  release(): void;
}

const held = Symbol('held');
const lost = new FinalizationRegistry<readonly Held[]>(releaseAll);

/**
 * Keeps memory held while a transport reads views of it. The function that is returned lets go; where it is never called, since the
 * connection broke and nobody knows what is still read, that is done when the last of the views is gone. Takes over one `hold` of each.
 */
export function heldBy(views: readonly Uint8Array[], memory: readonly Held[]): () => void {
  const token = {};
  for (const view of views) (view as Uint8Array & { [held]?: object })[held] = token;
  lost.register(token, memory, token);
  return () => {
    if (lost.unregister(token)) releaseAll(memory);
  };
}

function releaseAll(memory: readonly Held[]): void {
  for (const each of memory) each.release();
}
