import type * as Protobuf from 'protobufjs';
import type * as ProtoJson from 'protobufjs/ext/protojson.js';
import { createRequire } from 'node:module';
import { type FieldPath, type HttpRule, parsePathTemplate } from '../domain/grpc/http-rule.ts';
import type { ProtoProblem, RpcMethod, RpcService } from '../domain/grpc/rpc.ts';
import { isRecord, textOf } from '../domain/unknown-value.ts';
import { fileDescriptors, type ReadFile } from './protobufjs-descriptors.ts';
import { messageTypeOf } from './protobufjs-json.ts';

/** Loaded for those who use it alone: it takes a tenth of a second. */
interface Library {
  readonly protobuf: typeof Protobuf;
  readonly json: typeof ProtoJson;
}

let loaded: Library | undefined;

function library(): Library {
  const require = createRequire(import.meta.url);
  loaded ??= {
    protobuf: require('protobufjs') as typeof Protobuf,
    json: require('protobufjs/ext/protojson.js') as typeof ProtoJson,
  };
  return loaded;
}

interface ProtoFile {
  /** As its problems name it. */
  readonly name: string;
  /** The text of a file; undefined where there is none. An import is looked up beside the file, and in the folders above. */
  readonly read: (name: string) => string | undefined;
}

/** A service of a `.proto`, with all that it imports; a problem, with its place, where it is none. */
export function readProto({ name, read }: ProtoFile, service: string | undefined): RpcService | ProtoProblem {
  const { protobuf } = library();
  const root = new protobuf.Root();
  const texts = new Map<string, string>();
  const files: ReadFile[] = [];
  try {
    loadInto(root, { name, read, texts, files });
    root.resolveAll();
  } catch (error) {
    return { problem: placed(error, name, texts) };
  }
  const known = servicesIn(root);
  const wanted = service ?? (known.length === 1 ? known[0] : undefined);
  const found = wanted === undefined ? null : root.lookup(wanted);
  if (found instanceof protobuf.Service) return serviceOf(found, () => fileDescriptors(root, files));
  const declared = known.length === 0 ? 'no service' : known.join(', ');
  const what = service === undefined ? `which of them is served must be said by \`service\`` : `and not ${service}`;
  return { problem: `${name} declares ${declared}, ${what}`, isOfService: true };
}

interface Loading extends ProtoFile {
  readonly texts: Map<string, string>;
  readonly files: ReadFile[];
}

function loadInto(root: Protobuf.Root, { name, read, texts, files }: Loading): void {
  const waiting = [name];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (texts.has(file)) continue;
    const text = read(file);
    if (text === undefined && file === name) throw new Error('cannot be read');
    texts.set(file, text ?? '');
    if (text === undefined) {
      files.push(...commonFile(root, file));
      continue;
    }
    const shownName = file === name ? lastOf(file) : file; // where it lies is no caller's to know
    const { imports = [], package: within = '' } = parseOne({ file, shownName }, text, root);
    waiting.push(...imports);
    files.push({ name: shownName, package: within, imports: imports.filter(isDescribed), syntax: syntaxOf(text) });
  }
}

function lastOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function syntaxOf(text: string): ReadFile['syntax'] {
  return /^\s*syntax\s*=\s*["']proto3["']/m.test(text) ? 'proto3' : 'proto2';
}

/** What options alone need is not reported. */
function isDescribed(file: string): boolean {
  return !file.startsWith('google/api/');
}

/** What the library brings; none: it is read for its options alone, as `google/api` is. */
function commonFile(root: Protobuf.Root, name: string): ReadFile[] {
  if (!name.startsWith('google/')) throw new Error(`imports ${name}, which is neither beside it nor in a folder above`);
  const nested = commonIn(name)?.nested;
  if (nested === undefined) return [];
  const known = new Set(declaredBy(root));
  root.addJSON(nested);
  for (const each of declaredBy(root)) if (!known.has(each)) each.filename = name;
  return [{ name, package: 'google.protobuf', imports: [], syntax: 'proto3' }];
}

function declaredBy(root: Protobuf.Root): readonly Protobuf.ReflectionObject[] {
  const within = root.lookup('google.protobuf');
  return within instanceof library().protobuf.Namespace ? within.nestedArray : [];
}

/** What the library brings of `google/protobuf`. */
function commonIn(file: string): Protobuf.INamespace | null {
  if (!OF_DESCRIPTORS.has(file)) return library().protobuf.common.get(file);
  const require = createRequire(import.meta.url);
  return require(`protobufjs/${file.replace(/proto$/, 'json')}`) as Protobuf.INamespace;
}

/** Needed by those who declare options, as `google/api/annotations.proto` does. */
const OF_DESCRIPTORS = new Set(
  ['descriptor', 'api', 'type', 'source_context'].map(name => `google/protobuf/${name}.proto`),
);

/** Says which file a problem is of. */
class ProtoError extends Error {
  override readonly name = 'ProtoError';
  readonly file: string;

  constructor(file: string, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.file = file;
  }
}

function parseOne(
  { file, shownName }: { file: string; shownName: string },
  text: string,
  root: Protobuf.Root,
): Protobuf.IParserResult {
  const { parse } = library().protobuf;
  Object.assign(parse, { filename: shownName }); // whose each declaration is; its types do not have it
  try {
    return parse(text, root, { keepCase: true });
  } catch (error) {
    throw new ProtoError(file, error);
  }
}

/** What is wrong, as `FILE:LINE:COLUMN: …`. */
function placed(error: unknown, main: string, texts: ReadonlyMap<string, string>): string {
  const file = error instanceof ProtoError ? error.file : main;
  const said = error instanceof Error ? error.message : String(error);
  const token = TOKENS.map(pattern => pattern.exec(said)?.[1]).find(each => each !== undefined) ?? '';
  const line = Number(/line (\d+)\)$/.exec(said)?.[1]);
  const place = placeIn((texts.get(file) ?? '').split('\n'), token, line);
  return `${file}:${place}: ${said.replace(/ \([^()]*line \d+\)$/, '')}`;
}

/** How the library, and we, name what is at fault. */
const TOKENS = [/'([^']+)'/, /no such type: (\S+)/, /imports (\S+),/, /\b(?:Type|Enum|Service) \.?(\S+)$/];

/** Where a token stands: in this line, or in the first that has it. */
function placeIn(lines: readonly string[], token: string, line: number): string {
  const word = new RegExp(`(?<![\\w.])${token.replace(/[^\w]/g, '\\$&')}(?![\\w.])`);
  const at = line > 0 ? line - 1 : lines.findIndex(each => token !== '' && word.test(each));
  const column = token === '' ? 0 : (lines[at]?.search(word) ?? 0);
  return `${Math.max(1, at + 1)}:${Math.max(1, column + 1)}`;
}

function servicesIn(namespace: Protobuf.NamespaceBase): string[] {
  const { protobuf } = library();
  return namespace.nestedArray.flatMap(each => {
    if (each instanceof protobuf.Service) return [each.fullName.slice(1)];
    return each instanceof protobuf.Namespace ? servicesIn(each) : [];
  });
}

function serviceOf(service: Protobuf.Service, describe: RpcService['describe']): RpcService | ProtoProblem {
  const methods = new Map<string, RpcMethod>();
  for (const method of service.methodsArray) {
    const made = methodOf(method);
    if (typeof made === 'string') return { problem: `${service.fullName.slice(1)}.${method.name}: ${made}` };
    methods.set(method.name, made);
  }
  return { name: service.fullName.slice(1), methods, ...(describe !== undefined && { describe }) };
}

function methodOf(method: Protobuf.Method): RpcMethod | string {
  const { requestStream, responseStream, resolvedRequestType, resolvedResponseType } = method;
  if (resolvedRequestType === null || resolvedResponseType === null) return 'its messages are not declared';
  const options: unknown[] = Array.isArray(method.parsedOptions) ? method.parsedOptions : [];
  const isStreaming = requestStream === true || responseStream === true;
  const rules: HttpRule[] = [];
  for (const written of isStreaming ? [] : bindingsOf(options)) {
    const rule = ruleOf(written, resolvedRequestType, resolvedResponseType);
    if (typeof rule === 'string') return rule;
    rules.push(rule);
  }
  const { json } = library();
  return {
    ...{ name: method.name, rules, isStreaming },
    isSafe: options.some(option => isRecord(option) && option['idempotency_level'] === 'NO_SIDE_EFFECTS'),
    request: messageTypeOf(resolvedRequestType, json),
    response: messageTypeOf(resolvedResponseType, json),
  };
}

type Written = Readonly<Record<string, unknown>>;

/** The rule itself, and those that it adds. */
function bindingsOf(options: readonly unknown[]): Written[] {
  const rule = options.flatMap(option => (isRecord(option) ? [option['(google.api.http)']] : [])).find(isRecord);
  if (rule === undefined) return [];
  const more: unknown = rule['additional_bindings'];
  return [rule, ...(Array.isArray(more) ? more : [more]).filter(isRecord)];
}

const METHODS = ['get', 'put', 'post', 'delete', 'patch'];

function ruleOf(written: Written, request: Protobuf.Type, response: Protobuf.Type): HttpRule | string {
  const { custom } = written;
  const method = METHODS.find(each => typeof written[each] === 'string');
  const [verb, path] =
    method === undefined && isRecord(custom)
      ? [textOf(custom['kind']), textOf(custom['path'])]
      : [method ?? '', textOf(written[method ?? ''])];
  if (!/^[A-Za-z]+$/.test(verb)) return 'its `google.api.http` names no method of HTTP';
  const template = parsePathTemplate(path);
  if (typeof template === 'string') return `the path ${path} ${template}`;
  const fields = {
    variables: template.variables.map(field => fieldAt(request, field, 'single')),
    ...bodiesOf(written, request, response),
  };
  const missing = [...fields.variables, fields.body, fields.responseBody].find(
    each => typeof each === 'string' && each !== '*',
  );
  if (typeof missing === 'string') return missing;
  return { method: verb.toUpperCase(), path: template, ...fields } as HttpRule; // none of them is a text any more
}

function bodiesOf(written: Written, request: Protobuf.Type, response: Protobuf.Type) {
  const [body, responseBody] = [textOf(written['body']), textOf(written['response_body'])];
  return {
    body: body === '' || body === '*' ? body || undefined : fieldAt(request, body),
    responseBody: responseBody === '' ? undefined : fieldAt(response, responseBody),
  };
}

/** A field by its path; a text: why it is none. */
function fieldAt(type: Protobuf.Type, field: string, kind?: 'single'): FieldPath | string {
  const { protobuf } = library();
  const names: string[] = [];
  let within: unknown = type;
  let isMany = false;
  for (const name of field.split('.')) {
    const found: Protobuf.Field | undefined = within instanceof protobuf.Type ? within.fields[name] : undefined;
    if (found === undefined) return `${type.name} has no field \`${field}\``;
    names.push(found.jsonName);
    within = found.resolvedType;
    isMany = found.repeated || found.map;
  }
  if (kind === 'single' && (isMany || within instanceof protobuf.Type))
    return `the field \`${field}\` is no single value`;
  return { field, names };
}
