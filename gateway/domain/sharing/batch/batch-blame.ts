/** Whose calls make batches fail. */
export interface BatchBlame {
  /** A call of theirs failed alone as well, after a batch with it had failed. */
  note(callerId: string): void;
  /**
   * Batches fail too often, the last of them with calls of these callers: who brought that about travels alone until
   * then. Empty where nobody in particular did, or nobody else was in it.
   */
  setApart(callerIds: readonly string[], untilMs: number): readonly string[];
  isApart(callerId: string, nowMs: number): boolean;
}

/** Guilty calls remembered. */
const REMEMBERED = 20;
/** Once may happen to anyone. */
const GUILTY_MIN = 2;
/** Callers who travel alone; beyond that the first of them are forgiven. */
const APART_MAX = 64;

/** Nobody is to blame yet. */
export function createBatchBlame(): BatchBlame {
  let guilty: string[] = [];
  const apart = new Map<string, number>();

  const culprits = () => {
    const counts = new Map<string, number>();
    for (const callerId of guilty) counts.set(callerId, (counts.get(callerId) ?? 0) + 1);
    return [...counts].flatMap(([callerId, count]) => (count >= GUILTY_MIN ? [callerId] : []));
  };

  return {
    note(callerId) {
      guilty.push(callerId);
      if (guilty.length > REMEMBERED) guilty.shift();
    },
    setApart(callerIds, untilMs) {
      const found = culprits();
      guilty = [];
      if (callerIds.every(callerId => found.includes(callerId))) return [];
      for (const callerId of found) {
        apart.delete(callerId);
        apart.set(callerId, untilMs);
        const [first] = apart.keys();
        if (apart.size > APART_MAX && first !== undefined) apart.delete(first);
      }
      return found;
    },
    isApart(callerId, nowMs) {
      if (apart.size === 0) return false;
      const untilMs = apart.get(callerId);
      if (untilMs === undefined || nowMs < untilMs) return untilMs !== undefined;
      apart.delete(callerId);
      return false;
    },
  };
}
