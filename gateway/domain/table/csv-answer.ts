import { type Cell, tableOf } from './answer-table.ts';

/**
 * An answer in JSON as CSV (RFC 4180); undefined where it is no table.
 *
 * A missing value is an empty field, an empty text `""`, `NA` as a text `"NA"`, a logical `TRUE` or `FALSE`. A text is
 * written as it is: one that begins with `=` is a formula to a spreadsheet.
 */
export function csvOfJson(json: string): string | undefined {
  const table = tableOf(json);
  if (table === undefined) return undefined;
  let text = `${table.columns.map(({ name }) => csvField(name)).join(',')}\r\n`;
  for (let row = 0; row < table.rows; row++) {
    text += `${table.columns.map(({ cells }) => csvField(cells[row] ?? null)).join(',')}\r\n`;
  }
  return text;
}

const NEEDS_QUOTES = /[",\r\n]|^\s|\s$/;

/** One field. */
export function csvField(cell: Cell): string {
  if (cell === null) return '';
  if (typeof cell === 'boolean') return cell ? 'TRUE' : 'FALSE';
  if (typeof cell === 'number') return String(cell);
  const isMistakable = cell === '' || cell === 'NA' || NEEDS_QUOTES.test(cell);
  return isMistakable ? `"${cell.replaceAll('"', '""')}"` : cell;
}
