const DATE_TIME =
  /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(Z|[+-]\d{2}:\d{2}(?::\d{2})?)(?:\[[A-Za-z0-9._+/-]+\])?$/;

/**
 * Java's ZonedDateTime text (`2017-01-20T17:42:47.789-07:00[America/Denver]`) or milliseconds since 1970, as the latter;
 * undefined for anything else. The offset decides; the region after it is only a name.
 */
export function parseZonedDateTime(text: string): number | undefined {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  const parts = DATE_TIME.exec(text);
  if (parts === null) return undefined;
  const [, year, month, day, hour, minute, second = '0', fraction = '', offset = 'Z'] = parts;
  const [y, m, d, h, min, s] = [year, month, day, hour, minute, second].map(Number) as Six;
  if (m < 1 || m > 12 || d < 1 || d > daysOf(y, m) || h > 23 || min > 59 || s > 59) return undefined;
  const shiftMs = offsetMs(offset);
  if (shiftMs === undefined) return undefined;
  const local = new Date(0);
  local.setUTCFullYear(y, m - 1, d);
  local.setUTCHours(h, min, s, Math.floor(Number(`0.${fraction || '0'}`) * 1_000));
  return local.getTime() - shiftMs;
}

type Six = [number, number, number, number, number, number];

function daysOf(year: number, month: number): number {
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  if (month === 2) return isLeap ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

function offsetMs(offset: string): number | undefined {
  if (offset === 'Z') return 0;
  const [hours = 0, minutes = 0, seconds = 0] = offset.slice(1).split(':').map(Number);
  if (hours > 18 || minutes > 59 || seconds > 59) return undefined;
  const ms = ((hours * 60 + minutes) * 60 + seconds) * 1_000;
  return offset.startsWith('-') ? -ms : ms;
}
