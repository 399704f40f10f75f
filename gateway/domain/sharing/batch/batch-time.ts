/** How long a batch takes, learned from those that were. */
export interface BatchTime {
  learn(rows: number, durationMs: number): void;
  /** Milliseconds for so many rows; undefined while too little is known. */
  predictMs(rows: number): number | undefined;
}

/** What an observation still weighs when the next one has come: about the last fifty count. */
const MEMORY = 0.98;
/** Fewer batches than that say nothing. */
const SEEN_MIN = 4;

/**
 * Learns `a·rows + b` by least squares over what was seen lately.
 *
 * Where all batches had about as many rows nothing tells `a` from `b`: then all of it is taken to grow with the rows,
 * which says too much of larger batches rather than too little.
 */
export function createBatchTime(): BatchTime {
  let [weight, rowSum, squareSum, timeSum, productSum] = [0, 0, 0, 0, 0];
  let seen = 0;

  return {
    learn(rows, durationMs) {
      weight = weight * MEMORY + 1;
      rowSum = rowSum * MEMORY + rows;
      squareSum = squareSum * MEMORY + rows * rows;
      timeSum = timeSum * MEMORY + durationMs;
      productSum = productSum * MEMORY + rows * durationMs;
      seen += 1;
    },
    predictMs(rows) {
      if (seen < SEEN_MIN) return undefined;
      const [meanRows, meanMs] = [rowSum / weight, timeSum / weight];
      const spread = squareSum / weight - meanRows * meanRows;
      const perRow =
        spread > 0.01 * meanRows * meanRows ? (productSum / weight - meanRows * meanMs) / spread : meanMs / meanRows;
      const perRowMs = Math.min(Math.max(0, perRow), meanMs / meanRows); // neither time nor rows are ever negative
      return meanMs + perRowMs * (rows - meanRows);
    },
  };
}
