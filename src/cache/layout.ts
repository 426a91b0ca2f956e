const SLASH = 0x2f;

/**
 * Keys of a kind are `<prefix><name>` or `<prefix><namespace>/<name>` (spec 1.1). Whatever else
 * lies below the prefix (directory markers, other tools' keys) is not an object.
 */
export interface KeyLayout {
  readonly prefix: Uint8Array;
  readonly namespaced: boolean;
  /** The key is known to start with the prefix: the source was asked for nothing else. */
  isObjectKey(bytes: Uint8Array, start: number, end: number): boolean;
}

export function createKeyLayout(prefix: Uint8Array, namespaced: boolean): KeyLayout {
  return {
    prefix,
    namespaced,
    isObjectKey(bytes, start, end) {
      const nameStart = start + prefix.length;
      let slashes = 0;
      let segmentStart = nameStart;
      for (let at = nameStart; at < end; at++) {
        if (bytes[at] !== SLASH) continue;
        if (at === segmentStart) return false;
        slashes++;
        segmentStart = at + 1;
      }
      return slashes === (namespaced ? 1 : 0) && segmentStart < end;
    },
  };
}
