/** At least one item. Holding one is proof that the empty case was dealt with earlier. */
export type NonEmpty<T> = readonly [T, ...T[]];

/** True when there is at least one item. */
export function isNonEmpty<T>(items: readonly T[]): items is NonEmpty<T> {
  return items.length > 0;
}

/** The item at `index`. A wrong index is a bug of ours, and says so where it happens. */
export function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new RangeError(`no item ${index} among ${items.length}`);
  return item;
}
