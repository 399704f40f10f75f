import { readParcel, type Parcel, type RowFormat } from '../batch/row-parcel.ts';
import { isRecord } from '../../unknown-value.ts';

/** So many rows are asked alone and together. */
const EXAMPLES = 6;
/** No model of ours has more columns; a prototype that has is somebody's mistake. */
const COLUMNS_MAX = 1_024;

/**
 * Rows like those a model was trained on, from what it publishes at `/prototype`: its columns, each with type, example
 * and, of a factor, its levels. Undefined: it says nothing to make rows of.
 *
 * No two are alike, so that an answer which depends on the rows around it shows.
 */
export function examplesOf(prototype: string, format: RowFormat): readonly Parcel[] | undefined {
  const columns = columnsOf(prototype);
  if (columns === undefined) return undefined;
  const parcels: Parcel[] = [];
  for (let i = 0; i < EXAMPLES; i++) {
    const members = columns.map(([name, column]) => `${JSON.stringify(name)}:${exampleOf(column, i)}`).join(',');
    const parcel = readParcel(Buffer.from(format === 'array' ? `[{${members}}]` : `{${members}}`), format, 1);
    if (parcel === undefined) return undefined;
    parcels.push(parcel);
  }
  return new Set(parcels.map(({ pieces }) => pieces.join(','))).size > 1 ? parcels : undefined;
}

type Column = Readonly<Record<string, unknown>>;

function columnsOf(prototype: string): readonly (readonly [string, Column])[] | undefined {
  const parsed = parse(prototype);
  if (!isRecord(parsed)) return undefined;
  const columns = Object.entries(parsed).flatMap(([name, column]) =>
    isRecord(column) ? [[name, column] as const] : [],
  );
  const isWhole = columns.length === Object.keys(parsed).length;
  return isWhole && columns.length > 0 && columns.length <= COLUMNS_MAX ? columns : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The i-th example, as JSON. A number of a double always shows that it is one: to R `1` is another type than `1.5`. */
function exampleOf({ type, example, details }: Column, i: number): string {
  switch (type) {
    case 'numeric':
    case 'double':
      return doubleText(numberOf(example, 1) * (1 + i / 16) + (i % 2) / 32);
    case 'integer':
      return String(Math.round(numberOf(example, 1)) + i);
    case 'logical':
      return String(i % 2 === 0);
    case 'factor':
    case 'ordered': {
      const levels = levelsOf(details);
      return JSON.stringify(levels.length === 0 ? String(example) : levels[i % levels.length]);
    }
    default:
      return JSON.stringify(typeof example === 'string' ? example : '');
  }
}

function doubleText(value: number): string {
  const text = String(Number(value.toPrecision(8)));
  return /[.e]/.test(text) ? text : `${text}.0`;
}

function numberOf(example: unknown, otherwise: number): number {
  const number = Number(Array.isArray(example) ? example[0] : example);
  return Number.isFinite(number) && Math.abs(number) < 1e9 ? number : otherwise;
}

function levelsOf(details: unknown): readonly string[] {
  const levels = isRecord(details) ? details['levels'] : undefined;
  return Array.isArray(levels) ? levels.filter(level => typeof level === 'string') : [];
}
