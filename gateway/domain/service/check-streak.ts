/** Findings of one kind in a row. */
export interface CheckStreak {
  readonly isWell: boolean;
  readonly length: number;
}

/** The streak after one finding more. */
export function lengthen(streak: CheckStreak | undefined, isWell: boolean): CheckStreak {
  return { isWell, length: streak?.isWell === isWell ? streak.length + 1 : 1 };
}

/** Whether a streak says something: enough of its kind were found in a row. */
export function isVerdict({ isWell, length }: CheckStreak, thresholds: { passes: number; fails: number }): boolean {
  return length >= (isWell ? thresholds.passes : thresholds.fails);
}
