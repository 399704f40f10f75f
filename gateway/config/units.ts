const DURATION = /^(\d{1,12})(ms|s|m|h|d)$/;
const UNIT_MS = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

const SIZE = /^(\d{1,12})(B|KiB|MiB|GiB)$/;
const UNIT_BYTES = new Map([
  ['B', 1],
  ['KiB', 1_024],
  ['MiB', 1_048_576],
  ['GiB', 1_073_741_824],
]);

/** How a duration may be written, for editors. */
export const DURATION_PATTERN = '^[0-9]{1,12}(ms|s|m|h|d)$';

/** How a size may be written, for editors. */
export const SIZE_PATTERN = '^[0-9]{1,12}(B|KiB|MiB|GiB)$';

/** How a share may be written, for editors. */
export const PERCENT_PATTERN = '^[0-9]{1,3}(\\.[0-9]{1,6})?%$';

/** '1%', '99.9%' as a share of 1; undefined for anything else. */
export function percentShare(text: string): number | undefined {
  const share = /^(\d{1,3}(?:\.\d{1,6})?)%$/.exec(text)?.[1];
  return share === undefined || Number(share) > 100 ? undefined : Number(`${share}e-2`); // exact, unlike a division
}

/** '250ms', '2s', '5m', '1h', '30d' in milliseconds; undefined for anything else. */
export function durationMs(text: string): number | undefined {
  return amountOf(DURATION.exec(text), UNIT_MS);
}

/** '64KiB', '1MiB' in bytes; undefined for anything else. */
export function sizeBytes(text: string): number | undefined {
  return amountOf(SIZE.exec(text), UNIT_BYTES);
}

/** A duration as one would write it: 1500 is '1500ms', 60000 is '1m'. */
export function durationText(ms: number): string {
  return inLargestUnit(ms, UNIT_MS);
}

/** A size as one would write it: 1024 is '1KiB'. */
export function sizeText(bytes: number): string {
  return inLargestUnit(bytes, UNIT_BYTES);
}

function amountOf(parts: RegExpExecArray | null, units: ReadonlyMap<string, number>): number | undefined {
  const [, amount, unit = ''] = parts ?? [];
  const factor = units.get(unit);
  if (amount === undefined || factor === undefined) return undefined;
  const total = Number(amount) * factor;
  return Number.isSafeInteger(total) ? total : undefined;
}

function inLargestUnit(amount: number, units: ReadonlyMap<string, number>): string {
  const fitting = [...units].reverse().find(([, factor]) => amount >= factor && amount % factor === 0);
  const [unit, factor] = fitting ?? [[...units.keys()][0] ?? '', 1];
  return `${amount / factor}${unit}`;
}
