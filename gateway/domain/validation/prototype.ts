import { isRecord } from '../unknown-value.ts';

/** A column that a model takes, as it publishes it by vetiver's convention. */
export interface Column {
  readonly name: string;
  /** R's class: numeric, integer, logical, character, factor, ordered, Date, …; empty where it is not said. */
  readonly type: string;
  readonly example: unknown;
  /** Of a factor, in their order; else empty. */
  readonly levels: readonly string[];
}

/** A model with more columns does not publish them by hand: it is a mistake. */
export const COLUMNS_MAX = 1_024;

/** The columns in what a model answers at `/prototype`; undefined where it says none. */
export function readPrototype(text: string): readonly Column[] | undefined {
  const parsed = parseJson(text);
  if (!isRecord(parsed)) return undefined;
  const columns = Object.entries(parsed).flatMap(([name, column]) =>
    isRecord(column) ? [toColumn(name, column)] : [],
  );
  const isWhole = columns.length === Object.keys(parsed).length;
  return isWhole && columns.length > 0 && columns.length <= COLUMNS_MAX ? columns : undefined;
}

/** What a text says as JSON; undefined where it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function toColumn(name: string, { type, example, details }: Readonly<Record<string, unknown>>): Column {
  return { name, type: typeof type === 'string' ? type : '', example, levels: levelsOf(details) };
}

/** vetiver writes a list of one as the one. */
function levelsOf(details: unknown): readonly string[] {
  const levels = isRecord(details) ? details['levels'] : undefined;
  const list: readonly unknown[] = Array.isArray(levels) ? levels : [levels];
  return list.filter(level => typeof level === 'string');
}
