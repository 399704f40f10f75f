import type { Answer } from '../../upstream.ts';
import { JsonCursor } from '../json/json-cursor.ts';

/**
 * How R writes the answers to rows: `list` one after the other, `members` as columns of an object. `isBoxed`: the answer
 * to one row alone stands in brackets, too; R's serializers may unbox it. A member that is the same in every answer is
 * kept as its text.
 */
export type AnswerForm =
  | { readonly kind: 'list'; readonly isBoxed: boolean }
  | { readonly kind: 'members'; readonly members: readonly MemberForm[] };

interface MemberForm {
  /** Quoted, as R writes it. */
  readonly name: string;
  readonly value: 'boxed' | 'unboxed' | { readonly constant: string };
}

/** What rows together and alone have shown: the form, or in words why there is none. */
export type FormFound = { readonly form: AnswerForm } | { readonly flaw: string };

interface Member {
  readonly name: string;
  readonly text: string;
  /** Undefined: no array. */
  readonly items: readonly string[] | undefined;
}

/** An answer whose rows can be told apart; it is compact, as R writes it. */
type ReadAnswer =
  | { readonly kind: 'list'; readonly items: readonly string[] }
  | { readonly kind: 'members'; readonly members: readonly Member[] };

const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
const [QUOTE, COMMA, COLON] = [0x22, 0x2c, 0x3a];

/** R's answer to one row holds no deeper structure. */
const DEPTH_MAX = 32;

/** Compares what R answers to each row alone with what it answers to all together; both as text, one character a byte. */
export function findForm(alone: readonly string[], together: string): FormFound {
  const read = readAnswer(together);
  if (read === undefined) return { flaw: 'the answer is no JSON that holds rows' };
  return read.kind === 'list' ? formOfList(read.items, alone) : formOfMembers(read.members, alone);
}

/**
 * What R would have answered to each of several callers alone, who sent so many rows each, together what it was asked.
 * Undefined: the answer is not of the form, or not for so many rows.
 */
export function splitAnswer(text: string, form: AnswerForm, counts: readonly number[]): readonly string[] | undefined {
  const read = readAnswer(text);
  if (read?.kind !== form.kind) return undefined;
  const rows = counts.reduce((sum, count) => sum + count, 0);
  if (read.kind === 'list' && form.kind === 'list') {
    if (read.items.length !== rows) return undefined;
    return cut(counts, (from, count) => write(read.items, { from, count, isBoxed: form.isBoxed }));
  }
  if (read.kind !== 'members' || form.kind !== 'members' || !areLike(read.members, form.members, rows))
    return undefined;
  const { members } = read;
  return cut(counts, (from, count) => writeMembers(members, form.members, { from, count }));
}

/** An answer's body, one character a byte; undefined: it is a stream. */
export function bodyTextOf({ body }: Pick<Answer, 'body'>): string | undefined {
  return Buffer.isBuffer(body) ? body.toString('latin1') : undefined;
}

function formOfList(items: readonly string[], alone: readonly string[]): FormFound {
  if (items.length !== alone.length) return miscounted(alone.length, items.length);
  const boxing = boxingOf(items, alone);
  return typeof boxing === 'object' ? boxing : { form: { kind: 'list', isBoxed: boxing === 'boxed' } };
}

function formOfMembers(members: readonly Member[], alone: readonly string[]): FormFound {
  const singles = alone.map(text => membersOf(text, members));
  const forms: MemberForm[] = [];
  for (const [i, member] of members.entries()) {
    const texts = singles.map(single => single?.[i]?.text ?? '');
    const value = formOfMember(member, texts);
    if (typeof value === 'object' && 'flaw' in value) return value;
    forms.push({ name: member.name, value });
  }
  if (singles.includes(undefined)) return { flaw: 'the answer to one row has other members than that to several' };
  if (forms.some(({ value }) => typeof value === 'string')) return { form: { kind: 'members', members: forms } };
  return { flaw: 'the answer to several rows holds no array of as many' };
}

/** The members of an answer, if they are called as those of the other. */
function membersOf(text: string, like: readonly Member[]): readonly Member[] | undefined {
  const read = readAnswer(text);
  if (read?.kind !== 'members' || read.members.length !== like.length) return undefined;
  return read.members.every(({ name }, i) => name === like[i]?.name) ? read.members : undefined;
}

function formOfMember(
  { text, items }: Member,
  alone: readonly string[],
): MemberForm['value'] | { readonly flaw: string } {
  const boxing = items?.length === alone.length ? boxingOf(items, alone) : miscounted(alone.length, items?.length ?? 1);
  if (typeof boxing === 'string') return boxing;
  return alone.every(single => single === text) ? { constant: text } : boxing;
}

/** Whether each item is, bare or in brackets, what R answers to that row alone. */
function boxingOf(items: readonly string[], alone: readonly string[]): 'boxed' | 'unboxed' | { readonly flaw: string } {
  if (items.every((item, i) => item === alone[i])) return 'unboxed';
  if (items.every((item, i) => `[${item}]` === alone[i])) return 'boxed';
  return { flaw: 'a row is answered otherwise among others than alone' };
}

function miscounted(rows: number, answers: number): { readonly flaw: string } {
  return { flaw: `${rows} rows together get ${answers} answers` };
}

function areLike(members: readonly Member[], forms: readonly MemberForm[], rows: number): boolean {
  if (members.length !== forms.length) return false;
  return forms.every(({ name, value }, i) => {
    const member = members[i];
    if (member?.name !== name) return false;
    return typeof value === 'string' ? member.items?.length === rows : member.text === value.constant;
  });
}

function cut(counts: readonly number[], piece: (from: number, count: number) => string): string[] {
  let from = 0;
  return counts.map(count => {
    const text = piece(from, count);
    from += count;
    return text;
  });
}

interface Span {
  readonly from: number;
  readonly count: number;
}

function write(items: readonly string[], { from, count, isBoxed }: Span & { readonly isBoxed: boolean }): string {
  if (count === 1) return isBoxed ? `[${items[from] ?? ''}]` : (items[from] ?? '');
  return `[${items.slice(from, from + count).join(',')}]`;
}

function writeMembers(members: readonly Member[], forms: readonly MemberForm[], span: Span): string {
  let text = '{';
  for (let i = 0; i < members.length; i++) {
    const [member, form] = [members[i], forms[i]];
    if (member === undefined || form === undefined) continue;
    const { name, items = [] } = member;
    const value =
      typeof form.value === 'string' ? write(items, { ...span, isBoxed: form.value === 'boxed' }) : member.text;
    text += i === 0 ? `${name}:${value}` : `,${name}:${value}`;
  }
  return `${text}}`;
}

function readAnswer(text: string): ReadAnswer | undefined {
  const cursor = new JsonCursor(text);
  const first = text.charCodeAt(0);
  const read = first === OPEN_ARRAY ? listAt(cursor) : first === OPEN_OBJECT ? membersAt(cursor) : undefined;
  return cursor.at === text.length ? read : undefined;
}

function listAt(cursor: JsonCursor): ReadAnswer | undefined {
  const items = itemsAt(cursor);
  return items && { kind: 'list', items };
}

/** Steps over one character that must stand here, without a blank before it. */
function step(cursor: JsonCursor, code: number): boolean {
  if (cursor.text.charCodeAt(cursor.at) !== code) return false;
  cursor.at += 1;
  return true;
}

function itemsAt(cursor: JsonCursor): string[] | undefined {
  step(cursor, OPEN_ARRAY);
  const items: string[] = [];
  if (step(cursor, CLOSE_ARRAY)) return items;
  do {
    const from = cursor.at;
    if (!skipValue(cursor)) return undefined;
    items.push(cursor.text.slice(from, cursor.at));
  } while (step(cursor, COMMA));
  return step(cursor, CLOSE_ARRAY) ? items : undefined;
}

function membersAt(cursor: JsonCursor): ReadAnswer | undefined {
  step(cursor, OPEN_OBJECT);
  const members: Member[] = [];
  do {
    const from = cursor.at;
    if (cursor.text.charCodeAt(from) !== QUOTE || !cursor.string()) return undefined;
    const name = cursor.text.slice(from, cursor.at);
    if (!step(cursor, COLON)) return undefined;
    const valueFrom = cursor.at;
    const items = cursor.text.charCodeAt(valueFrom) === OPEN_ARRAY ? itemsAt(cursor) : undefined;
    if (items === undefined && (cursor.at !== valueFrom || !skipValue(cursor))) return undefined;
    members.push({ name, items, text: cursor.text.slice(valueFrom, cursor.at) });
  } while (step(cursor, COMMA));
  return step(cursor, CLOSE_OBJECT) ? { kind: 'members', members } : undefined;
}

/** Past a value of any kind. What is between brackets is R’s matter, as long as they close. */
function skipValue(cursor: JsonCursor): boolean {
  const { text } = cursor;
  const from = cursor.at;
  let depth = 0;
  for (;;) {
    const code = text.charCodeAt(cursor.at);
    const change = depthChange(code);
    if (depth === 0 && (change < 0 || code === COMMA)) return cursor.at > from;
    depth += change;
    if (isAmiss(code, depth)) return false;
    if (code !== QUOTE) cursor.at += 1;
    else if (!cursor.string()) return false;
  }
}

/** The text is over, too deep, or not as compact as R writes. */
function isAmiss(code: number, depth: number): boolean {
  return Number.isNaN(code) || depth > DEPTH_MAX || (depth === 0 && code <= 0x20);
}

function depthChange(code: number): number {
  if (code === OPEN_ARRAY || code === OPEN_OBJECT) return 1;
  return code === CLOSE_ARRAY || code === CLOSE_OBJECT ? -1 : 0;
}

type Fielded = Pick<Answer, 'fields'>;

/** Equal for answers with the same fields, but for those that tell the time. */
export function fieldsText({ fields }: Fielded): string {
  const lines = [...comparable(fields)].map(([name, values]) => `${name}:${values}`);
  return lines.sort().join('\n\n');
}

/** Others tell by them how old the answer is. */
const OF_TIME: ReadonlySet<string> = new Set(['age', 'date', 'expires']);

/** The name of a field that is not the same in both, or that is never shared. */
export function otherField({ fields }: Fielded, { fields: others }: Fielded): string | undefined {
  const [ours, theirs] = [comparable(fields), comparable(others)];
  for (const [name, values] of ours) if (theirs.get(name) !== values) return name;
  for (const name of theirs.keys()) if (!ours.has(name)) return name;
  return ours.has('set-cookie') ? 'Set-Cookie' : undefined;
}

function comparable(list: readonly string[]): Map<string, string> {
  const fields = new Map<string, string>();
  for (let i = 0; i + 1 < list.length; i += 2) {
    const name = (list[i] ?? '').toLowerCase();
    if (!OF_TIME.has(name)) fields.set(name, `${fields.get(name) ?? ''}\n${list[i + 1] ?? ''}`);
  }
  return fields;
}

/**
 * In what an answer got beside others differs from that got alone, in words and without any value of either: where, of
 * which type, how far numbers are apart, how long texts are.
 */
export function differenceOf(together: string, alone: string): string {
  const [ours, theirs] = [parse(together), parse(alone)];
  if (ours === undefined || theirs === undefined)
    return `${together.length} bytes beside others, ${alone.length} alone`;
  return differenceAt('the answer', ours.value, theirs.value) ?? 'it is written otherwise beside others than alone';
}

function parse(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(Buffer.from(text, 'latin1').toString('utf8')) };
  } catch {
    return undefined;
  }
}

function differenceAt(where: string, ours: unknown, theirs: unknown): string | undefined {
  const [kind, other] = [kindOf(ours), kindOf(theirs)];
  if (kind !== other) return `${where} is ${kind} beside others, ${other} alone`;
  if (typeof ours === 'number' && typeof theirs === 'number') return numberDifference(where, ours, theirs);
  if (typeof ours === 'string' && typeof theirs === 'string') return textDifference(where, ours, theirs);
  const isWhole = where === 'the answer' && kind === 'an object';
  return isStructure(ours) && isStructure(theirs) ? partDifference(where, isWhole, [ours, theirs]) : undefined;
}

type Structure = Readonly<Record<string, unknown>>;

function isStructure(value: unknown): value is Structure {
  return typeof value === 'object' && value !== null;
}

/** Names of members below the first level may be a caller's: positions are said instead. */
function partDifference(where: string, isWhole: boolean, [ours, theirs]: readonly [Structure, Structure]) {
  const [items, others] = [Object.entries(ours), Object.values(theirs)];
  if (items.length !== others.length) return `${where} has ${items.length} parts beside others, ${others.length} alone`;
  for (const [i, [name, item]] of items.entries()) {
    const found = differenceAt(isWhole ? name : `${where}[${i}]`, item, others[i]);
    if (found !== undefined) return found;
  }
  return undefined;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  return typeof value === 'string' ? 'a text' : typeof value === 'number' ? 'a number' : 'a truth value';
}

function numberDifference(where: string, ours: number, theirs: number): string | undefined {
  if (ours === theirs) return undefined;
  const apart = Math.abs(ours - theirs) / Math.max(Math.abs(ours), Math.abs(theirs));
  return `${where} is a number in both, ${Number((apart * 100).toPrecision(2))} % apart`;
}

function textDifference(where: string, ours: string, theirs: string): string | undefined {
  if (ours === theirs) return undefined;
  if (ours.length === theirs.length) return `${where} is another text of ${ours.length} characters`;
  return `${where} is a text of ${ours.length} characters beside others, of ${theirs.length} alone`;
}
