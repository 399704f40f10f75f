import { DOUBLE, INTEGER, LOGICAL, TEXT } from '../sharing/json/r-scalar.ts';
import { quoted, shortened } from './findings.ts';
import { bytesOf, textOf } from './json-walk.ts';

/** A value as it stands in a body, each character a byte. */
export interface Scalar {
  /** What it is to R, as `readScalar` says it. */
  readonly kind: number;
  readonly raw: string;
}

/** What is wrong with a value, in the words that come after it; undefined: the column takes it. */
export type JudgeValue = (value: Scalar) => string | undefined;

/** How values are held against a column; undefined: it takes whatever is there. */
export function judgeOf(type: string, levels: readonly string[]): JudgeValue | undefined {
  const isFactor = type === 'factor' || type === 'ordered';
  if (isFactor) return levels.length === 0 ? undefined : judgeLevelOf(levels);
  return JUDGES.get(type);
}

/** No class of R's: one value, whatever it is. */
export const SCALAR = 'scalar';

/** A text of a query or a path, which R reads as what is wanted. */
export function textScalar(text: string): Scalar {
  return { kind: text === 'NA' ? LOGICAL : TEXT, raw: bytesOf(JSON.stringify(text)) };
}

/** A value that JSON has brought; undefined for one that is no scalar. */
export function scalarOf(value: unknown): Scalar | undefined {
  if (typeof value === 'string')
    return isSpecialNumber(value) ? { kind: DOUBLE, raw: `"${value}"` } : textScalar(value);
  if (typeof value === 'boolean' || value === null) return { kind: LOGICAL, raw: String(value) };
  if (typeof value !== 'number') return undefined;
  const isInteger = Number.isInteger(value) && Math.abs(value) <= INTEGER_MAX;
  return { kind: isInteger ? INTEGER : DOUBLE, raw: String(value) };
}

function isSpecialNumber(text: string): boolean {
  return text === 'NaN' || text === 'Inf' || text === '-Inf';
}

/** A value as it is shown to its caller. */
export function shown({ raw }: Scalar): string {
  if (!raw.startsWith('"')) return shortened(raw);
  const text = textOf(raw);
  try {
    return quoted(JSON.parse(text) as string);
  } catch {
    return shortened(text); // half of a pair of surrogates, which was found before
  }
}

/**
 * What `as.numeric` reads as a number, and nothing that it warns of; blanks around are cut off before. Only a point
 * parts digits from digits, so that a text of nothing else can be read in one way.
 */
const NUMBER = /^(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]?0[xX][\da-fA-F]+|[+-]?(?:inf|infinity)|nan)$/i;

const LOGICAL_TEXTS: ReadonlySet<string> = new Set(
  ['T', 'TRUE', 'true', 'True', 'F', 'FALSE', 'false', 'False'].map(text => JSON.stringify(text)),
);

const [NO_NUMBER, NO_INTEGER, OUT_OF_RANGE] = ['is not a number', 'is not a whole number', 'is out of range'];
const INTEGER_MAX = 2_147_483_647;

/** JSON's null, and `"NA"` as vetiver's client writes it. */
function isMissing({ kind, raw }: Scalar): boolean {
  return kind === LOGICAL && raw !== 'true' && raw !== 'false';
}

/** To a column that is no text an empty text is a missing value. */
function isBlank({ kind, raw }: Scalar): boolean {
  return kind === TEXT && raw === '""';
}

function judgeNumber(value: Scalar): string | undefined {
  const { kind, raw } = value;
  if (kind === INTEGER || isMissing(value) || isBlank(value)) return undefined;
  if (kind === LOGICAL) return NO_NUMBER;
  if (kind === TEXT) return NUMBER.test(contentOf(raw).trim()) ? undefined : NO_NUMBER;
  return raw.startsWith('"') || Number.isFinite(Number(raw)) ? undefined : OUT_OF_RANGE;
}

function judgeInteger(value: Scalar): string | undefined {
  const { kind, raw } = value;
  if (kind === INTEGER || isMissing(value) || isBlank(value)) return undefined;
  if (kind === LOGICAL) return NO_INTEGER;
  return judgeWhole(raw.startsWith('"') ? contentOf(raw).trim() : raw, INTEGER_MAX);
}

/** bit64's class; `uint64` of an ONNX model as well. */
function judgeInteger64(value: Scalar): string | undefined {
  const wrong = judgeInteger(value);
  if (wrong !== OUT_OF_RANGE) return wrong;
  const { raw } = value;
  return judgeWhole(raw.startsWith('"') ? contentOf(raw).trim() : raw, 2 ** 64);
}

function judgeWhole(text: string, max: number): string | undefined {
  if (text === 'NaN') return undefined;
  if (!NUMBER.test(text)) return NO_INTEGER;
  const number = Number(text);
  if (Number.isFinite(number) && !Number.isInteger(number)) return NO_INTEGER;
  return Math.abs(number) <= max ? undefined : OUT_OF_RANGE;
}

function judgeLogical(value: Scalar): string | undefined {
  const { kind, raw } = value;
  if (kind === LOGICAL || isBlank(value)) return undefined;
  const isOne = kind === TEXT ? LOGICAL_TEXTS.has(raw) : Number(raw) === 0 || Number(raw) === 1;
  return isOne ? undefined : 'is not true or false';
}

function judgeText(value: Scalar): string | undefined {
  return isMissing(value) || value.raw.startsWith('"') ? undefined : 'is not text';
}

const DATE = /^\d{4}-\d{2}-\d{2}$/;

function judgeDate(value: Scalar): string | undefined {
  if (isMissing(value) || isBlank(value)) return undefined;
  const text = value.kind === TEXT ? contentOf(value.raw) : '';
  const isDay = DATE.test(text) && isRealDay(text);
  return isDay ? undefined : 'is not a date such as 2024-02-29';
}

function isRealDay(text: string): boolean {
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}

/** By R's classes; those of factors depend on their levels. */
const JUDGES: ReadonlyMap<string, JudgeValue> = new Map([
  ['numeric', judgeNumber],
  ['double', judgeNumber],
  ['integer', judgeInteger],
  ['integer64', judgeInteger64],
  ['logical', judgeLogical],
  ['character', judgeText],
  ['Date', judgeDate],
  [SCALAR, () => undefined],
]);

/** More levels are counted, not listed. */
const LEVELS_LISTED = 20;

function judgeLevelOf(levels: readonly string[]): JudgeValue {
  const known = new Set(levels.map(level => `"${bytesOf(level)}"`));
  const listed = levels.slice(0, LEVELS_LISTED).join(', ');
  const more = levels.length > LEVELS_LISTED ? `, … (${levels.length} in /prototype)` : '';
  const refused = `is not one of ${listed}${more}`;
  const isLevel = (text: string) => known.has(`"${text}"`);
  return value => {
    const { kind, raw } = value;
    if (known.has(raw) || isMissing(value)) return undefined;
    const isOne = raw.startsWith('"') ? isLevel(contentOf(raw)) : writtenByR(kind, raw).some(isLevel);
    return isOne ? undefined : refused;
  };
}

/** What `as.character` makes of a value that is no text. */
function writtenByR(kind: number, raw: string): readonly string[] {
  if (kind === LOGICAL) return [raw.toUpperCase()];
  const number = Number(raw);
  return [String(number), number.toExponential().replace(/e([+-])(\d)$/, 'e$10$2')];
}

/** What a string says, each character a byte. */
function contentOf(raw: string): string {
  if (!raw.includes('\\')) return raw.slice(1, -1);
  try {
    return bytesOf(JSON.parse(textOf(raw)) as string);
  } catch {
    return '';
  }
}
