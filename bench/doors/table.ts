import { inCounts, inMs, inTimes, inUs } from '../figures.ts';

/** What the doors showed, and when: they may be measured anew between whole runs. */
export interface Doors {
  readonly takenAt: string;
  readonly loadBefore: number;
  readonly rows: readonly DoorRow[];
}

/** What a door costs, beside the same without it. */
export interface DoorRow {
  readonly what: string;
  readonly unit: 'ms' | 'rows a second' | 'µs of CPU a call';
  readonly own: number;
  readonly other: number;
  /** What the other is. */
  readonly against: string;
  readonly ratio: number;
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** A figure of a door with its unit. */
export function inUnit(unit: DoorRow['unit'], figure: number): string {
  if (unit === 'ms') return inMs(figure);
  return unit === 'rows a second' ? `${inCounts(figure)}/s` : inUs(figure);
}

/** Whether what was expected of a door was met. */
export function isDoorMet({ ratio, atMost = Infinity, atLeast = 0 }: DoorRow): boolean {
  return ratio <= atMost && ratio >= atLeast;
}

/** The table of the doors; nothing where they were not measured. */
export function doorSection(doors: Doors | undefined): string[] {
  if (doors === undefined || doors.rows.length === 0) return [];
  const lines = doors.rows.map(({ what, unit, own, other, against, ratio }) => {
    return `| ${what} | ${inUnit(unit, own)} | ${inUnit(unit, other)} (${against}) | ${inTimes(ratio)} |`;
  });
  return [
    '## Doors',
    `What each door adds to what it leads to: medians in turns, one gateway, on ${doors.takenAt.slice(0, 10)} at a load of ${doors.loadBefore.toFixed(1)} before.`,
    ['| | Penstock | compared with | ratio |', '|---|--:|--:|--:|', ...lines].join('\n'),
  ];
}
