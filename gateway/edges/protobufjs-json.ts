import type * as Protobuf from 'protobufjs';
import type * as ProtoJson from 'protobufjs/ext/protojson.js';
import type { JsonMessage } from '../domain/grpc/http-rule.ts';
import type { MessageType } from '../domain/grpc/rpc.ts';
import { isRecord } from '../domain/unknown-value.ts';

type Json = typeof ProtoJson;

/** A message in both its forms. The library's own JSON leaves out what is 0 or empty: a column that R misses. */
export function messageTypeOf(type: Protobuf.Type, json: Json): MessageType {
  const write = writerOf(type, { json, known: new Map() });
  const read = (value: unknown) => json.fromJson(type, value, { ignoreUnknownFields: true });
  const answered = (value: unknown) =>
    tried(
      () => read(value),
      () => read(asDeclared(value, type)),
    );
  return {
    name: type.name,
    fromBytes: content => tried(() => write(type.decode(content))),
    fromJson: value => tried(() => write(read(value))),
    toBytes(value) {
      const message = answered(value);
      return typeof message === 'string' ? message : tried(() => Buffer.from(type.encode(message).finish()));
    },
    toJson(value) {
      const message = answered(value);
      return typeof message === 'string' ? message : tried(() => json.toJson(type, message) as JsonMessage);
    },
  };
}

/** What comes of it; a text: why nothing does, from the last that was tried. */
function tried<T>(...ways: readonly (() => T)[]): T | string {
  let problem = '';
  for (const way of ways) {
    try {
      return way();
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
  }
  return problem.slice(0, PROBLEM_LENGTH_MAX);
}

const PROBLEM_LENGTH_MAX = 256;

type Message = Readonly<Record<string, unknown>>;
type Write = (message: object) => JsonMessage;
type WriteValue = (value: unknown) => unknown;

interface Writing {
  readonly json: Json;
  /** Types may hold themselves. */
  readonly known: Map<Protobuf.Type, Write>;
}

function writerOf(type: Protobuf.Type, writing: Writing): Write {
  const known = writing.known.get(type);
  if (known !== undefined) return known;
  let fields: readonly FieldWriter[] | undefined;
  const write: Write = message => {
    fields ??= type.fieldsArray.map(field => fieldWriterOf(field, writing));
    const written: Record<string, unknown> = {};
    for (const { name, jsonName, absent, value } of fields) {
      const said = Object.hasOwn(message, name) ? (message as Message)[name] : absent;
      if (said !== undefined) written[jsonName] = value(said);
    }
    return written;
  };
  writing.known.set(type, write);
  return write;
}

interface FieldWriter {
  readonly name: string;
  readonly jsonName: string;
  /** What it is where it is not said: a list is empty, a number 0; undefined: it may be absent. */
  readonly absent: unknown;
  readonly value: WriteValue;
}

function fieldWriterOf(field: Protobuf.Field, writing: Writing): FieldWriter {
  const { name, jsonName, repeated } = field;
  const one = oneWriterOf(field, writing);
  const value: WriteValue = repeated ? list => (list as readonly unknown[]).map(one) : one;
  return { name, jsonName, absent: absentOf(field), value };
}

function absentOf({ repeated, map, hasPresence, resolvedType, typeDefault }: Protobuf.Field): unknown {
  if (repeated) return [];
  if (map) return {};
  const mayBeAbsent = hasPresence || (resolvedType !== null && 'fieldsArray' in resolvedType);
  return mayBeAbsent ? undefined : (typeDefault as unknown);
}

function oneWriterOf(field: Protobuf.Field, writing: Writing): WriteValue {
  const { type, map, resolvedType } = field;
  if (map) return byLibrary(field, writing.json, value => value);
  if (resolvedType !== null && 'fieldsArray' in resolvedType) {
    if (resolvedType.fullName.startsWith('.google.protobuf.')) return byLibrary(field, writing.json, listOfOne(field));
    return message => writerOf(resolvedType, writing)(message as object);
  }
  if (resolvedType !== null) return number => resolvedType.valuesById[number as number] ?? number;
  return SCALARS[type] ?? plain;
}

/** Well-known types and maps have a form of their own. */
function byLibrary({ name, jsonName, parent, repeated }: Protobuf.Field, json: Json, put: WriteValue): WriteValue {
  const type = parent as Protobuf.Type;
  return value => {
    const written = (json.toJson(type, { [name]: put(value) }) as Message)[jsonName];
    if (!repeated) return written ?? {};
    return Array.isArray(written) ? (written[0] as unknown) : written;
  };
}

function listOfOne({ repeated }: Protobuf.Field): WriteValue {
  return value => (repeated ? [value] : value);
}

const plain: WriteValue = value => value;

/** JSON has no such numbers, and a float has the fewest digits that tell it from the next. */
const SCALARS: Readonly<Record<string, WriteValue>> = {
  double: value => finite(value as number),
  float: value => finite(shortest(value as number)),
  bytes: value => Buffer.from(value as Uint8Array).toString('base64'),
  ...Object.fromEntries(['int64', 'uint64', 'sint64', 'fixed64', 'sfixed64'].map(type => [type, String])),
};

function finite(number: number): number | string {
  return Number.isFinite(number) ? number : String(number);
}

function shortest(number: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const text = Number(number.toPrecision(digits));
    if (Math.fround(text) === number) return text;
  }
  return number;
}

/** R's JSON as it is meant, where the message declares it otherwise: a scalar that R boxes, an `NA` among numbers. */
function asDeclared(value: unknown, type: Protobuf.Type): unknown {
  const plainly = Array.isArray(value) && value.length === 1 ? (value[0] as unknown) : value;
  if (!isRecord(plainly)) return value;
  const declared: Record<string, unknown> = {};
  for (const field of type.fieldsArray) {
    const name = [field.jsonName, field.protoName].find(each => Object.hasOwn(plainly, each));
    if (name !== undefined) declared[name] = fieldAsDeclared(plainly[name], field);
  }
  return declared;
}

function fieldAsDeclared(value: unknown, field: Protobuf.Field): unknown {
  if (field.map) return value;
  if (field.repeated) return (Array.isArray(value) ? value : [value]).map(each => oneAsDeclared(each, field));
  const isBoxed =
    Array.isArray(value) && value.length === 1 && field.resolvedType?.fullName !== '.google.protobuf.ListValue';
  return oneAsDeclared(isBoxed ? value[0] : value, field);
}

function oneAsDeclared(value: unknown, field: Protobuf.Field): unknown {
  const { type, resolvedType } = field;
  if (resolvedType !== null && 'fieldsArray' in resolvedType) {
    return resolvedType.fullName.startsWith('.google.protobuf.') ? value : asDeclared(value, resolvedType);
  }
  if (type === 'double' || type === 'float') return numberAsDeclared(value, field);
  return value === 'NA' && type !== 'string' ? null : value;
}

/** A missing number of a list keeps its place. */
function numberAsDeclared(value: unknown, { repeated }: Protobuf.Field): unknown {
  return value === 'NA' || (value === null && repeated) ? 'NaN' : inR(value);
}

/** jsonlite's words for what JSON has no number for. */
function inR(value: unknown): unknown {
  return value === 'Inf' || value === '-Inf' ? value.replace('Inf', 'Infinity') : value;
}
