/**
 * Finds the events in the bytes of a watch stream, which may be cut anywhere: JSON events end
 * with a newline, protobuf ones start with their length (spec 3.3).
 */
export interface FrameScanner {
  /** Calls `frame` for every event completed by this chunk; with the frame's payload when asked for. */
  push(chunk: Uint8Array, frame?: (payload: Uint8Array) => void): number;
}

const NEWLINE = 0x0a;

/** One event a line; the payload includes its newline. */
export function lineScanner(): FrameScanner {
  const pending = createPending();
  return {
    push(chunk, frame) {
      let count = 0;
      let start = 0;
      for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, start)) {
        if (frame !== undefined) frame(pending.complete(chunk.subarray(start, at + 1)));
        start = at + 1;
        count++;
      }
      if (frame !== undefined) pending.keep(chunk.subarray(start));
      return count;
    },
  };
}

/** Four bytes of length, then the payload. */
export function lengthScanner(): FrameScanner {
  const pending = createPending();
  /** Of the frame being read: what is missing of its payload, or -1 while its length is incomplete. */
  let missing = -1;
  let length = 0;
  let lengthBytes = 0;
  return {
    push(chunk, frame) {
      let count = 0;
      let at = 0;
      while (at < chunk.length) {
        if (missing < 0) {
          length = length * 256 + chunk[at++]!;
          if (++lengthBytes < 4) continue;
          missing = length;
          length = 0;
          lengthBytes = 0;
        }
        const end = Math.min(chunk.length, at + missing);
        missing -= end - at;
        if (missing > 0) {
          if (frame !== undefined) pending.keep(chunk.subarray(at, end));
        } else {
          if (frame !== undefined) frame(pending.complete(chunk.subarray(at, end)));
          missing = -1;
          count++;
        }
        at = end;
      }
      return count;
    },
  };
}

function createPending() {
  let parts: Uint8Array[] = [];
  return {
    keep(part: Uint8Array): void {
      if (part.length > 0) parts.push(part);
    },
    complete(last: Uint8Array): Uint8Array {
      if (parts.length === 0) return last;
      const whole = Buffer.concat([...parts, last]);
      parts = [];
      return whole;
    },
  };
}
