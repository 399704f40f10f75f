import type { Clock } from '../../gateway/domain/clock.ts';

/** A clock that a test turns by hand. */
export interface ManualClock extends Clock {
  /** Moves time on, and rings every alarm on the way in the order of their times. */
  advance(byMs: number): void;
  /** The wall clock is set, as an operator or NTP does; the steady one goes on as it was. */
  setWallMs(wallMs: number): void;
  /** How many alarms are set: none may be left behind. */
  readonly alarms: number;
}

/** A clock that moves only when the test turns it. */
export function manualClock(startWallMs = Date.UTC(2026, 0, 1)): ManualClock {
  let nowMs = 0;
  let wallAtZeroMs = startWallMs;
  const alarms = new Set<{ readonly atMs: number; readonly ring: () => void }>();

  const nextDue = (untilMs: number) => {
    const due = [...alarms].filter(alarm => alarm.atMs <= untilMs);
    return due.length === 0 ? undefined : due.reduce((first, alarm) => (alarm.atMs < first.atMs ? alarm : first));
  };

  return {
    nowMs: () => nowMs,
    wallMs: () => wallAtZeroMs + nowMs,
    after(delayMs, ring) {
      const alarm = { atMs: nowMs + delayMs, ring };
      alarms.add(alarm);
      return () => {
        alarms.delete(alarm);
      };
    },
    advance(byMs) {
      const untilMs = nowMs + byMs;
      for (let alarm = nextDue(untilMs); alarm !== undefined; alarm = nextDue(untilMs)) {
        alarms.delete(alarm);
        nowMs = Math.max(nowMs, alarm.atMs);
        alarm.ring();
      }
      nowMs = untilMs;
    },
    setWallMs(wallMs) {
      wallAtZeroMs = wallMs - nowMs;
    },
    get alarms() {
      return alarms.size;
    },
  };
}
