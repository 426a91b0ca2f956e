import { bad, readInteger, readList } from '../values.js';

export interface SampleSize {
  readonly nodes: number;
  /** Pods at the start; scaling and jobs make the number move around it later. */
  readonly pods: number;
  /** Writes to pods a second; 0: nothing moves but Leases. */
  readonly churn: number;
}

export interface SampleOptions extends SampleSize {
  readonly seed: number;
  readonly eventTtlSeconds: number;
}

const SAMPLE_SIZE: SampleSize = { nodes: 50, pods: 1_500, churn: 20 };

const bounds: Readonly<Record<keyof SampleSize, readonly [min: number, max: number]>> = {
  nodes: [1, 10_000],
  pods: [0, 300_000],
  churn: [0, 2_000],
};

/** `nodes=50,pods=1500,churn=20`, in any order; what is left out keeps its default. */
export function readSample(flag: string, text: string): SampleSize {
  const size: Record<keyof SampleSize, number> = { ...SAMPLE_SIZE };
  for (const item of text === '' ? [] : readList(flag, text)) {
    const match = /^(nodes|pods|churn)=(.*)$/.exec(item);
    if (match === null)
      throw bad(flag, item, 'expected nodes=N, pods=N or churn=N, such as nodes=50,pods=1500,churn=20');
    const name = match[1] as keyof SampleSize;
    size[name] = readInteger(...bounds[name])(`${flag} ${name}`, match[2]!);
  }
  const podsMax = size.nodes * 250;
  if (size.pods > podsMax) throw bad(flag, text, `${size.nodes} nodes run at most ${podsMax} pods (250 each)`);
  return size;
}
