const DATE_TIME =
  /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2})(?::(\d{2}(?:\.\d{1,9})?))?(Z|[+-]\d{2}:\d{2}(?::\d{2})?)(?:\[[A-Za-z0-9._+/-]+\])?$/;

/**
 * Java's ZonedDateTime text (`2017-01-20T17:42:47.789-07:00[America/Denver]`) or milliseconds since 1970, as the latter;
 * undefined for anything else. The offset decides; the region after it is only a name.
 */
export function parseZonedDateTime(text: string): number | undefined {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  const parts = DATE_TIME.exec(text);
  if (parts === null) return undefined;
  const [, minutes = '', seconds = '00.000', offset = ''] = parts;
  const localMs = Date.parse(`${minutes}:${seconds}Z`);
  // 30 February would be taken for a day in March.
  const isSound = !Number.isNaN(localMs) && new Date(localMs).toISOString().startsWith(minutes);
  const shiftMs = offsetMs(offset);
  return isSound && shiftMs !== undefined ? localMs - shiftMs : undefined;
}

function offsetMs(offset: string): number | undefined {
  if (offset === 'Z') return 0;
  const [hours = 0, minutes = 0, seconds = 0] = offset.slice(1).split(':').map(Number);
  if (hours > 18 || minutes > 59 || seconds > 59) return undefined;
  const ms = ((hours * 60 + minutes) * 60 + seconds) * 1_000;
  return offset.startsWith('-') ? -ms : ms;
}
