import { rowsOf } from '../../gateway/domain/rserve/task.ts';
import { openConnection } from '../../gateway/edges/rserve/connection.ts';
import { callCommand, valueIn } from '../../gateway/edges/rserve/qap.ts';
import { quantile } from '../load/load.ts';

/** A client of Rserve and nothing else. */
export interface BareQap {
  /** The middle of the times of one call after the other. */
  p50Ms(durationMs: number): Promise<number>;
  close(): void;
}

const BYTES_MAX = 1024 * 1024;

/** Connects, and calls this function with one row each time. */
export async function bareQap(origin: string, name: string): Promise<BareQap> {
  const connection = await openConnection({ origin, account: undefined, connectTimeoutMs: 5_000, functions: 'NULL' });

  async function call(i: number): Promise<void> {
    const rows = rowsOf([{ wt: 1 + (i % 8_999) / 1_000, hp: 100 + (i % 300) }]);
    if (!('frame' in rows)) throw new Error('no rows');
    const { error, body } = await connection.send(callCommand(name, [rows.frame]), BYTES_MAX);
    if (error !== undefined || valueIn(body).type !== 'double')
      throw new Error(`Rserve answers with ${error ?? 'no numbers'}`);
  }

  return {
    async p50Ms(durationMs) {
      const times: number[] = [];
      const endsMs = performance.now() + durationMs;
      for (let i = 0, beganMs = performance.now(); beganMs < endsMs; i++) {
        await call(i);
        const nowMs = performance.now();
        times.push(nowMs - beganMs);
        beganMs = nowMs;
      }
      return quantile(
        times.toSorted((a, b) => a - b),
        0.5,
      );
    },
    close: () => connection.destroy(),
  };
}
